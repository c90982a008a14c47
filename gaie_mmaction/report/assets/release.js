'use strict';
// Clips play while they are in view, unless less motion is wanted.
if (!matchMedia('(prefers-reduced-motion: reduce)').matches) {
  const observer = new IntersectionObserver(entries => {
    for (const {target, isIntersecting} of entries) {
      if (isIntersecting) target.play().catch(() => {}); // out of view again before it began
      else target.pause();
    }
  });
  for (const video of document.querySelectorAll('video')) observer.observe(video);
}

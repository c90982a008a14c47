"""Comparing an exported recognizer with PyTorch."""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter


@dataclass(frozen=True)
class Comparison:
    """Outputs of an exported recognizer against PyTorch's.

    Attributes:
        max_error (float): Largest absolute difference of a score, before the softmax.
        scale (float): PyTorch's largest absolute score.
        same_top1 (bool): Whether the best class is the same in every clip.
        kept_agreement (tuple[float]): Per merge, the share of kept tokens that both keep, in
            [0, 1].
    """
    max_error: float
    scale: float
    same_top1: bool
    kept_agreement: tuple[float, ...]

    def within(self, tolerance: float) -> bool:
        """Whether no score differs by more, and the kept tokens are the same."""
        return self.max_error <= tolerance and all(share == 1 for share in self.kept_agreement)


def compare(expected: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> Comparison:
    """Compare outputs: scores ``(B, classes)``, then kept indices ``(B, K)`` of each merge.

    A difference of nan counts as infinite.
    """
    error = np.abs(expected[0].astype(np.float64) - found[0]).max()
    shares = [float(np.mean([np.isin(row, other).mean() for row, other in zip(one, two)]))
              for one, two in zip(expected[1:], found[1:], strict=True)]
    return Comparison(
        max_error=float('inf') if np.isnan(error) else float(error),
        scale=float(np.abs(expected[0]).max()),
        same_top1=bool((expected[0].argmax(1) == found[0].argmax(1)).all()),
        kept_agreement=tuple(shares))


def sample_frames(shape: Sequence[int], seed: int = 0) -> np.ndarray:
    """Random frames ``(B, 3, T, H, W)`` float32, whole numbers in [0, 255].

    Neighbouring pixels and frames are alike, as in a video.
    """
    noise = np.random.default_rng(seed).normal(size=tuple(shape)).astype(np.float32)
    smooth = gaussian_filter(noise, sigma=(0, 0, 1, 6, 6)) + .3 * gaussian_filter(
        noise[:, ::-1], sigma=(0, 0, 1, 1.5, 1.5))
    low, high = np.percentile(smooth, (1, 99))
    return (255 * (smooth - low) / (high - low)).clip(0, 255).round().astype(np.float32)

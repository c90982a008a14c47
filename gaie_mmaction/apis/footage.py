"""Frames by number, from a video file, a folder of images or a webcam."""
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..datasets.video_file import VideoFile, VideoReadError
from ..visualization.video_writer import VideoWriter

IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')
VIDEOS = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v', '.mpg', '.mpeg', '.wmv', '.gif', '.flv',
          '.ts', '.ogv')


class ImageFolder:
    """Images of a folder as the frames of a video, sorted by name.

    Args:
        folder (str): Path.
        fps (float): Frame rate in frames/s. Defaults to 25.

    Raises:
        VideoReadError: If the folder holds no image.
    """

    def __init__(self, folder: str, fps: float = 25.) -> None:
        self.filename = os.fspath(folder)
        self.fps = fps
        self.shape: tuple[int, ...] | None = None  # of all, from the first image on
        self._files = _files_of(folder, IMAGES)
        if not self._files:
            raise VideoReadError(f'it holds no image ({", ".join(IMAGES)})')

    def __len__(self) -> int:
        return len(self._files)

    def __enter__(self) -> 'ImageFolder':
        return self

    def __exit__(self, *exception: Any) -> None:
        pass

    def read(self, frame_inds: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """Read frames, each ``(H, W, 3)`` uint8, RGB, in the order of ``frame_inds``.

        Raises:
            VideoReadError: If an image cannot be read, or differs in size from the first.
        """
        return [self._read(self._files[number]) for number in map(int, frame_inds)]

    def _read(self, path: Path) -> np.ndarray:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise VideoReadError(f'the image {path.name} cannot be read')
        self.shape = self.shape or image.shape
        if image.shape != self.shape:
            raise VideoReadError(f'the image {path.name} has {image.shape[1]}x{image.shape[0]} '
                                 f'pixels, others {self.shape[1]}x{self.shape[0]}')
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


Footage = VideoFile | ImageFolder


def open_footage(path: str) -> Footage:
    """Open a video file or a folder of images.

    Both have ``len``, ``fps``, ``filename`` and ``read``.

    Raises:
        VideoReadError: If it cannot be read.
    """
    return ImageFolder(path) if os.path.isdir(path) else VideoFile(path)


def find_footage(inputs: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Find and name the videos of a command line.

    Args:
        inputs (Sequence[str]): Video files, folders of videos, folders of images, or numbers of
            webcams.

    Returns:
        tuple: Path or webcam number by name, a different name for each; and what is in folders of
        videos without being one.
    """
    found: list[tuple[str, str]] = []
    skipped: list[str] = []
    for text in inputs:
        videos = _files_of(text, VIDEOS) if os.path.isdir(text) else []
        if _is_webcam(text):
            found.append((f'webcam{text}', text))
        elif videos:
            found += ((path.stem, str(path)) for path in videos)
            skipped += (str(path) for path in sorted(Path(text).iterdir())
                        if path not in videos and not path.name.startswith('.'))
        else:
            found.append((Path(os.path.abspath(text)).stem, text))
    names = _unique([name for name, _ in found])
    return dict(zip(names, (path for _, path in found))), skipped


@contextmanager
def open_source(source: str, seconds: float = 10) -> Iterator[Footage]:
    """Open a path or a webcam of :func:`find_footage`; a webcam is recorded first.

    Args:
        source (str): Path or webcam number.
        seconds (float): Duration of the recording. Defaults to 10.

    Raises:
        VideoReadError: If it cannot be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = source
        if _is_webcam(source):
            print(f'Recording webcam {source} for {seconds:g} s (Ctrl-C stops)')
            path = os.path.join(folder, f'webcam{source}.mp4')
            record_webcam(int(source), seconds, path)
        with open_footage(path) as footage:
            yield footage


def record_webcam(index: int, seconds: float, out_file: str | Path) -> int:
    """Record a webcam into an mp4. Ctrl-C stops the recording early.

    Args:
        index (int): Number of the camera, as OpenCV counts them.
        seconds (float): Duration.
        out_file (str or Path): The mp4.

    Returns:
        int: Number of frames.

    Raises:
        VideoReadError: If the camera cannot be opened or gives no frame.
    """
    camera = cv2.VideoCapture(index)
    try:
        if not camera.isOpened():
            raise VideoReadError(f'webcam {index} cannot be opened')
        rate = Fraction(camera.get(cv2.CAP_PROP_FPS) or 25).limit_denominator(1001)
        number = 0
        with VideoWriter(out_file, rate) as writer:
            try:
                while number < seconds * rate:
                    good, image = camera.read()
                    if not good:
                        break
                    writer.write(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
                    number += 1
            except KeyboardInterrupt:
                pass  # what was recorded so far is what was asked for
        if number == 0:
            raise VideoReadError(f'webcam {index} gives no frame')
        return number
    finally:
        camera.release()


def _is_webcam(text: str) -> bool:
    return text.isdecimal() and not os.path.exists(text)


def _files_of(folder: str, endings: Sequence[str]) -> list[Path]:
    return sorted(path for path in Path(folder).iterdir()
                  if path.suffix.lower() in endings and path.is_file())


def _unique(names: Sequence[str]) -> list[str]:
    """Append -2, -3, ... to repeated names, such that no result equals any other name."""
    taken, seen = set(names), Counter[str]()
    unique = []
    for name in names:
        seen[name] += 1
        other = name
        while seen[name] > 1 and other in taken:
            other = f'{name}-{seen[name]}'
            seen[name] += other in taken
        taken.add(other)
        unique.append(other)
    return unique

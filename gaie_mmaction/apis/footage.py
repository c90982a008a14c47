"""Frames by number, from a video file, a folder of images or a webcam."""
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from ..datasets.video_file import VideoFile, VideoReadError
from ..visualization.video_writer import VideoWriter

IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')
VIDEOS = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v', '.mpg', '.mpeg', '.wmv', '.gif', '.flv',
          '.ts', '.ogv')


class ImageFolder:
    """Images of a folder as the frames of a video with ``fps`` frames/s.

    They are sorted by name, numbers in it by value: ``img9.png`` before ``img10.png``.

    A folder without images, an image that cannot be read, or one of another size than the first
    is a ``VideoReadError``.
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
        """Read frames, each ``(H, W, 3)`` uint8, RGB, in the order of ``frame_inds``."""
        return [self._read(self._files[number]) for number in map(int, frame_inds)]

    def frames(self, frame_inds: Sequence[int] | np.ndarray) -> Iterator[tuple[int, av.VideoFrame]]:
        """Yield number and frame, ascending and without repeats, as :meth:`VideoFile.frames`."""
        for number in np.unique(frame_inds).tolist():
            yield number, av.VideoFrame.from_ndarray(self._read(self._files[number]), 'rgb24')

    def _read(self, path: Path) -> np.ndarray:
        try:
            content = path.read_bytes()  # imread() fails for some names, by a crash for not UTF-8
        except OSError as error:
            raise VideoReadError(f'the image {path.name} cannot be read: {error.strerror}'
                                 ) from error
        image = cv2.imdecode(np.frombuffer(content, np.uint8),
                             cv2.IMREAD_COLOR) if content else None
        if image is None:
            raise VideoReadError(f'the image {path.name} cannot be read')
        self.shape = self.shape or image.shape
        if image.shape != self.shape:
            raise VideoReadError(f'the image {path.name} has {image.shape[1]}x{image.shape[0]} '
                                 f'pixels, others {self.shape[1]}x{self.shape[0]}')
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


Footage = VideoFile | ImageFolder


def find_footage(inputs: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Path or webcam number by name, of files, folders of videos or images, numbers of webcams.

    The second result is what folders of videos hold besides videos.
    """
    names, sources, skipped = [], [], []
    for text in inputs:
        videos = _files_of(text, VIDEOS) if os.path.isdir(text) else []
        if videos:
            skipped += [str(path) for path in sorted(Path(text).iterdir())
                        if path not in videos and not path.name.startswith('.')]
        names += ([path.stem for path in videos] or
                  [f'webcam{text}' if _is_webcam(text) else Path(os.path.abspath(text)).stem])
        sources += list(map(str, videos)) or [text]
    # a, a, a-2 become a, a-3, a-2: no new name equals one that is there
    taken, found = set(names), {}
    for name, source in zip(names, sources):
        number, other = 1, name
        while other in found or (number > 1 and other in taken):
            number += 1
            other = f'{name}-{number}'
        found[other] = source
    return found, skipped


@contextmanager
def open_footage(source: str, seconds: float = 10) -> Iterator[Footage]:
    """Open a video file, a folder of images, or a webcam, recorded first for ``seconds``."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.fspath(source)
        if _is_webcam(path):
            path = os.path.join(folder, f'webcam{source}.mp4')
            print(f'Recording webcam {source} for {seconds:g} s (Ctrl-C stops)')
            record_webcam(int(source), seconds, path)
        with ImageFolder(path) if os.path.isdir(path) else VideoFile(path) as footage:
            yield footage


def record_webcam(index: int, seconds: float, out_file: str | Path) -> int:
    """Record a webcam, numbered as in OpenCV, into an mp4; returns the number of frames.

    Ctrl-C stops it early. No camera, or no frame, is a ``VideoReadError``.
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


def _is_webcam(source: str) -> bool:
    return source.isdecimal() and not os.path.exists(source)


def _files_of(folder: str, endings: Sequence[str]) -> list[Path]:
    # hidden ones are no footage: macOS writes ._NAME beside NAME on other systems' disks
    found = [path for path in Path(folder).iterdir() if not path.name.startswith('.')
             and path.suffix.lower() in endings and path.is_file()]
    return sorted(found, key=lambda path: [
        int(part) if part.isdecimal() else part for part in re.split(r'(\d+)', path.name)])

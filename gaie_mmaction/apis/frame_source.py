"""Frames by their number, of a video file, of a folder of pictures, or of a webcam."""
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..datasets.video_file import VideoFile, VideoReadError
from ..visualization.video_writer import VideoWriter

PICTURES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')
VIDEOS = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v', '.mpg', '.mpeg', '.wmv')


class ImageFolder:
    """Pictures of a folder as the frames of a video, in the order of their names.

    Args:
        folder (str): Path.
        fps (float): Frames/s that they stand for. Defaults to 25.

    Raises:
        VideoReadError: If there is no picture in it.
    """

    def __init__(self, folder: str, fps: float = 25.) -> None:
        self.filename = os.fspath(folder)
        self.fps = fps
        self.shape: tuple[int, ...] | None = None  # of all, from the first picture on
        self._files = files_of(folder, PICTURES)
        if not self._files:
            raise VideoReadError(f'it holds no picture ({", ".join(PICTURES)})')

    def __len__(self) -> int:
        return len(self._files)

    def __enter__(self) -> 'ImageFolder':
        return self

    def __exit__(self, *exception: Any) -> None:
        pass

    def read(self, frame_inds: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """Read frames.

        Args:
            frame_inds (Sequence[int]): Frame numbers, in [0, len(self)).

        Returns:
            list[np.ndarray]: ``(H, W, 3)`` uint8, RGB, in the order of ``frame_inds``.

        Raises:
            VideoReadError: If a picture cannot be read, or differs in size from the first.
        """
        return [self._read(self._files[number]) for number in map(int, frame_inds)]

    def _read(self, path: Path) -> np.ndarray:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise VideoReadError(f'the picture {path.name} cannot be read')
        self.shape = self.shape or image.shape
        if image.shape != self.shape:
            raise VideoReadError(f'the picture {path.name} has {image.shape[1]}x{image.shape[0]} '
                                 f'pixels, others {self.shape[1]}x{self.shape[0]}')
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


Footage = VideoFile | ImageFolder


def files_of(folder: str, endings: Sequence[str]) -> list[Path]:
    """Files of a folder with one of these endings, in the order of their names."""
    return sorted(path for path in Path(folder).iterdir()
                  if path.suffix.lower() in endings and path.is_file())


def open_footage(path: str) -> Footage:
    """Open a video file or a folder of pictures.

    Args:
        path (str): Path.

    Returns:
        VideoFile or ImageFolder: Both have ``len``, ``fps``, ``filename`` and ``read``.

    Raises:
        VideoReadError: If it cannot be read.
    """
    return ImageFolder(path) if os.path.isdir(path) else VideoFile(path)


def record_webcam(index: int, seconds: float, out_file: str) -> int:
    """Record a webcam into a video file. Ctrl-C ends the recording early.

    Args:
        index (int): Number of the camera, as OpenCV counts them.
        seconds (float): How long.
        out_file (str): An mp4.

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

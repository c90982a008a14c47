"""Taylor frames: the motion of several consecutive frames in one picture.

The Taylor stream of MM-Gesture (first of MiGA 2025), https://github.com/momiji-bit/MM-Gesture.
"""
from functools import cache
from math import comb, factorial

import cv2
import numpy as np
from mmaction.registry import TRANSFORMS

from ..video_file import VideoFile, VideoReadError, to_rgb
from .base import ShownTransform

CHANNELS = 3
BLOCK = 2**13  # pixels at a time, so that intermediate values stay in the cache
ROUNDING = 1e-9  # before truncation, so that 255 does not become 254


def taylor_frames(frames: np.ndarray, window: int = 6, terms: int = 3) -> np.ndarray:
    """Taylor expansion of each pixel over a sliding window, as RGB.

    Channel c of the window x_0..x_{W-1} is the sum over k in 0..terms - 1 of
    ``sum_j (x_j - x_0)^k / k! * D^{k+c+1}``, divided by W. D^m is the m-th forward difference at
    x_0, and 0^0 = 1. Negative values become 0. Each frame is scaled so that its largest value is
    255, and truncated; one without a positive value is black.

    Args:
        frames (np.ndarray): Grey frames ``(n, H, W)``, in [0, 1].
        window (int): Consecutive frames of a Taylor frame, at least ``terms + 3``. Defaults to 6.
        terms (int): Terms of the expansion, at least 1. Defaults to 3.

    Returns:
        np.ndarray: ``(n - window + 1, H, W, 3)`` uint8.

    Raises:
        ValueError: If there are fewer frames than the window, or the window is too short for the
            highest difference.
    """
    _check_window(window, terms)
    if len(frames) < window:
        raise ValueError(f'a window needs at least {window} frames, but got {len(frames)}')
    height, width = frames.shape[1:]
    # truncation shows every rounding error of the high differences: float64
    pixels = np.asarray(frames, np.float64).reshape(len(frames), -1)
    out = np.empty((len(frames) - window + 1, height, width, CHANNELS), np.uint8)
    for k in range(len(out)):
        values = np.empty((CHANNELS, height * width))
        for start in range(0, height * width, BLOCK):
            block = slice(start, start + BLOCK)
            _expand(pixels[k:k + window, block], terms, values[:, block])
        scale = 255 / (values.max(initial=0) or 1)
        # OpenCV rounds and saturates: half a level less truncates, and negative values become 0
        levels = cv2.addWeighted(values, scale, values, 0, ROUNDING - .5, dtype=cv2.CV_8U)
        out[k] = cv2.merge(list(levels.reshape(CHANNELS, height, width)))
    return out


def _check_window(window: int, terms: int) -> None:
    if terms < 1 or window < terms + CHANNELS:
        raise ValueError(f'{terms} terms need a window of at least {max(terms, 1) + CHANNELS} '
                         f'frames, but got terms={terms} and window={window}')


@cache
def _difference_matrix(window: int, orders: int) -> np.ndarray:
    """``(orders, W - 1)``: forward differences of order 1, 2, ... from the offsets to x_0."""
    return np.array([[(-1)**(order - j) * comb(order, j) for j in range(1, window)]
                     for order in range(1, orders + 1)], np.float64)


def _expand(window: np.ndarray, terms: int, out: np.ndarray) -> None:
    """``(W, pixels)`` -> ``(3, pixels)``, times W, which the scaling of the frame cancels."""
    offsets = window[1:] - window[0]  # still pixels are exactly 0 from here on
    differences = _difference_matrix(len(window), terms + CHANNELS - 1) @ offsets
    np.multiply(differences[:CHANNELS], len(window), out=out)  # k = 0
    total = offsets.sum(axis=0)
    for k in range(1, terms):
        if k > 1:
            total = np.einsum('jp,jp->p', offsets**(k - 1), offsets) / factorial(k)
        out += total * differences[k:k + CHANNELS]


class TaylorReader:
    """Stands for a video: frame i is the Taylor frame of the window that begins at frame i.

    Args:
        reader (VideoFile or ImageFolder): The video, which is closed with this reader.
        last_frame (int): Last frame of the clip, repeated where a window reaches beyond it.
        window, terms, short_side: Same as :class:`TaylorFrames`.
    """

    def __init__(self, reader: VideoFile, last_frame: int, window: int, terms: int,
                 short_side: int) -> None:
        self.reader = reader
        self.last_frame = last_frame
        self.window = window
        self.terms = terms
        self.short_side = short_side

    def __enter__(self) -> 'TaylorReader':
        return self

    def __exit__(self, *exception: object) -> None:
        self.reader.close()

    def read(self, frame_inds: np.ndarray) -> list[np.ndarray]:
        """Taylor frames ``(H, W, 3)`` uint8 by number; same as :meth:`VideoFile.read`."""
        windows = {start: np.minimum(np.arange(start, start + self.window), self.last_frame)
                   for start in np.unique(frame_inds).tolist()}
        grey = {number: self._grey(to_rgb(frame)) for number, frame in
                self.reader.frames(np.concatenate(list(windows.values())))}
        images = {start: taylor_frames(np.stack([grey[number] for number in numbers.tolist()]),
                                       self.window, self.terms)[0]
                  for start, numbers in windows.items()}
        return [images[number] for number in map(int, frame_inds)]

    def _grey(self, image: np.ndarray) -> np.ndarray:
        scale = self.short_side / min(image.shape[:2])
        if scale < 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) / 255


@TRANSFORMS.register_module()
class TaylorFrames(ShownTransform):
    """Replace the frames of a clip by their Taylor frames, see :func:`taylor_frames`.

    Put it between ``ClipInit`` and the sampling of frames: the clip has ``window - 1`` frames less
    then, and ``ClipDecode`` gives the Taylor frames of those sampled.

    Required keys: ``video_reader`` (replaced), ``total_frames`` (reduced), ``start_index``,
    ``clip_id``, ``filename``.

    Args:
        window (int): Consecutive frames of a Taylor frame, at least ``terms + 3``. Defaults to 6.
        terms (int): Terms of the expansion, at least 1. Defaults to 3.
        pad (bool): Repeat the last frame of a clip that is shorter than the window; otherwise it
            is a :class:`VideoReadError`. Defaults to False.
        short_side (int): Larger videos are reduced to it first, as cut clips are, pixels.
            Defaults to 256.
    """

    def __init__(self, window: int = 6, terms: int = 3, pad: bool = False,
                 short_side: int = 256) -> None:
        _check_window(window, terms)
        self.window = window
        self.terms = terms
        self.pad = pad
        self.short_side = short_side

    def transform(self, results: dict) -> dict:
        frames = results['total_frames']
        if frames < self.window and not self.pad:
            results.pop('video_reader').__exit__()
            raise VideoReadError(
                f'clip {results["clip_id"]} of {results["filename"]} has {frames} frames, and a '
                f'Taylor frame needs {self.window}: set TaylorFrames(pad=True) to repeat its last '
                'frame, or leave the clip out')
        results['video_reader'] = TaylorReader(
            results['video_reader'], results['start_index'] + frames - 1, self.window, self.terms,
            self.short_side)
        results['total_frames'] = max(frames - self.window + 1, 1)
        return results

"""H.264 videos that any player and browser shows."""
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace


class VideoWriter:
    """Write an mp4 frame by frame, ``fps`` in frames/s; odd sizes lose one row or column.

    ``crf`` is x264's constant rate factor, 0 to 51, higher = smaller and worse.
    """

    def __init__(self, filename: str | Path, fps: float | Fraction, crf: int = 20) -> None:
        self._container = av.open(os.fspath(filename), 'w', format='mp4',
                                  options=dict(movflags='+faststart'))
        self._rate = Fraction(fps).limit_denominator(1001)
        self._crf = crf
        self._stream: av.VideoStream | None = None
        self._written = 0

    def __enter__(self) -> 'VideoWriter':
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._stream is not None:
            self._container.mux(self._stream.encode())
        self._container.close()

    def write(self, image: np.ndarray) -> None:
        """Add a frame, ``(H, W, 3)`` uint8, RGB; all of one size."""
        height, width = (side // 2 * 2 for side in image.shape[:2])
        if self._stream is None:
            self._stream = self._container.add_stream(
                'libx264', rate=self._rate, options=dict(crf=str(self._crf), preset='veryfast'))
            self._stream.width, self._stream.height = width, height
            self._stream.pix_fmt = 'yuv420p'
            self._stream.codec_context.colorspace = Colorspace.ITU709
        image = np.ascontiguousarray(image[:height, :width])
        frame = av.VideoFrame.from_ndarray(image, format='rgb24').reformat(
            format='yuv420p', dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
        frame.colorspace = Colorspace.ITU709
        frame.pts, frame.time_base = self._written, 1 / self._rate
        self._container.mux(self._stream.encode(frame))
        self._written += 1

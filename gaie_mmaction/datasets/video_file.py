"""Frames of a video by number, each identified by its time stamp.

A decoder returns frames without a number. Counting them, as decord does, goes wrong after a seek
into an open GOP, with frames that an edit list hides, and wherever damage swallows a frame. Here
the packets are read once without decoding, and their sorted time stamps are the frame numbers. A
decoded frame is the requested one if, and only if, it carries that time stamp.

Damage inside the compressed data is an error where the decoder notices it. H.264 has no
checksum: a few wrong bytes can give a distorted frame without one.
"""
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from .frame_table import CONTAINERS, VideoReadError, first_line, get_frame_table, open_container

MAX_PIXELS = 8192 * 4320  # of a frame; one at this limit takes 106 MB as RGB


class VideoFile:
    """A video whose frames are read by number.

    Frames count from 0 in display order; those that an edit list hides do not count. A video that
    is to be rotated for display is rotated. A file that is missing, incomplete, too large or not a
    video is a :class:`VideoReadError`.

    Args:
        filename (str or Path): Path.
        max_pixels (int): Largest width x height of a frame; a few bytes of a header can announce
            gigabytes. Defaults to 8192 x 4320.

    Attributes:
        fps (float): Average frame rate in frames/s, 0 if unknown.
    """

    def __init__(self, filename: str | Path, max_pixels: int = MAX_PIXELS) -> None:
        self.filename = os.fspath(filename)
        try:
            status = os.stat(self.filename)
        except OSError as error:
            raise VideoReadError(f'it cannot be opened ({error.strerror})') from error
        if status.st_size == 0:
            raise VideoReadError('the file is empty')
        try:
            self._container = open_container(self.filename)
        except (av.FFmpegError, OSError) as error:
            raise VideoReadError(f'it is not a video or is damaged ({first_line(error)}); the '
                                 f'containers read are {", ".join(CONTAINERS)}') from error
        try:
            self._stream = self._require_stream(max_pixels)
            self._open_decoder(max_pixels)
            self._table = get_frame_table(
                self._container, (self.filename, status.st_size, status.st_mtime_ns))
        except VideoReadError:
            self.close()
            raise
        self.fps = float(self._stream.average_rate or 0)

    def _require_stream(self, max_pixels: int) -> av.VideoStream:
        if not self._container.streams.video:
            raise VideoReadError('it has no video stream')
        stream = self._container.streams.video[0]
        if stream.codec_context is None:
            raise VideoReadError('FFmpeg does not know its codec')
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > max_pixels:
            raise VideoReadError(
                f'its frames are {width} x {height} = {width * height} pixels, more than '
                f'max_pixels={max_pixels}: raise the limit by ClipInit(max_pixels=...), or reduce '
                'the video')
        return stream

    def _open_decoder(self, max_pixels: int) -> None:
        context = self._stream.codec_context
        context.thread_count = 1  # several DataLoader workers share the processor
        # damage is an error, never a patched frame; no frame is larger than the header said
        context.options = {'err_detect': 'explode', 'max_pixels': str(max_pixels)}
        try:
            context.open(strict=False)  # before skip_frame is set, which libdav1d takes for good
        except av.FFmpegError as error:
            raise VideoReadError(f'its header is damaged ({first_line(error)})') from error

    def __len__(self) -> int:
        return len(self._table.times)

    def __enter__(self) -> 'VideoFile':
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def read(self, frame_inds: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """Decode frames, given by number in any order; repeats are allowed.

        Returns:
            list[np.ndarray]: ``(H, W, 3)`` uint8, RGB, in the order of ``frame_inds``.

        Raises:
            IndexError: If a number is outside [0, len(self)).
            VideoReadError: If one of the frames, or one that it is predicted from, is damaged.
        """
        images = {number: to_rgb(frame) for number, frame in self.frames(frame_inds)}
        return [images[number] for number in map(int, frame_inds)]

    def frames(self, frame_inds: Sequence[int] | np.ndarray) -> Iterator[tuple[int, av.VideoFrame]]:
        """Yield number and frame, ascending and without repeats; arguments and errors as `read`."""
        numbers = np.unique(np.asarray(frame_inds, dtype=np.int64))
        if len(numbers) == 0:
            return
        if not 0 <= numbers[0] <= numbers[-1] < len(self):
            raise IndexError(f'frames {numbers[0]}..{numbers[-1]} are outside the {len(self)} '
                             f'frames of {self.filename}')
        times = self._table.times[numbers]
        # frames shown before a key frame may need earlier ones, those after it do not
        keys = np.searchsorted(self._table.keys[:, 0], times, side='right') - 1
        # where whole GOPs lie between two frames, seek to the next one
        for part in np.split(np.arange(len(numbers)), np.flatnonzero(np.diff(keys) > 1) + 1):
            wanted = dict(zip(times[part].tolist(), numbers[part].tolist()))
            try:
                yield from self._decode(wanted, int(keys[part[0]]))
            except av.FFmpegError as error:
                raise VideoReadError(f'decoding frames {numbers[0]}..{numbers[-1]} failed '
                                     f'({first_line(error)})') from error
            if wanted:
                raise VideoReadError(f'{len(wanted)} of the {len(numbers)} frames '
                                     f'{numbers[0]}..{numbers[-1]} could not be decoded')

    def _decode(self, wanted: dict, key: int) -> Iterator[tuple[int, av.VideoFrame]]:
        """Yield the frames of ``wanted``, numbers by time stamp, from a key frame on; pop them."""
        context = self._stream.codec_context
        key_time, key_dts, start_time = self._table.keys[key].tolist()
        at_key, last = False, key_time
        for packet in self._packets_from(start_time, key_dts):
            at_key |= packet.pts == key_time
            # a frame that is neither requested nor predicted from needs no decoding
            skip = packet.size > 0 and packet.pts not in wanted
            context.skip_frame = 'NONREF' if skip else 'DEFAULT'
            try:
                frames = cast(list[av.VideoFrame], packet.decode())  # of a video's packet
            except av.FFmpegError:
                if packet.size > 0 and not at_key:
                    continue  # after a start at an open GOP, its first frames lack references
                raise
            for frame in frames:
                if frame.pts is None or frame.pts < key_time:
                    continue
                if frame.pts < last:  # decoders return frames in display order
                    raise VideoReadError('its time stamps contradict the order of its frames')
                last = frame.pts
                if frame.is_corrupt:
                    raise VideoReadError(f'the frame at time stamp {frame.pts} is damaged')
                if frame.pts in wanted:
                    yield wanted.pop(frame.pts), frame
            if not wanted:
                return

    def _packets_from(self, time: int, key_dts: int) -> Iterator[av.Packet]:
        """Packets from the key frame at ``time`` or earlier; at most the one at ``key_dts``."""
        # formats seek by time stamp, by decoding time stamp, or land somewhere near
        for target in (time, min(time, key_dts), None):
            if target is None:
                self._container.seek(self._container.start_time or 0)
            else:
                self._container.seek(target, stream=self._stream)
            packets = self._container.demux(self._stream)
            first = next(packets)
            if first.dts is None:  # after a seek in Matroska, which goes to key frames
                if first.is_keyframe and first.pts is not None and first.pts <= time:
                    break
            elif first.dts <= key_dts:
                break
        yield first
        yield from packets


def to_rgb(frame: av.VideoFrame) -> np.ndarray:
    """``(H, W, 3)`` uint8, RGB, by the frame's own colour matrix and range, rotated for display."""
    # PyAV looks at matrix and range only where source and target are said to differ
    image = frame.reformat(
        format='rgb24', src_colorspace=frame.colorspace, dst_colorspace=Colorspace.DEFAULT,
        src_color_range=frame.color_range, dst_color_range=ColorRange.MPEG).to_ndarray()
    quarters = round(frame.rotation / 90) % 4  # counterclockwise
    return np.ascontiguousarray(np.rot90(image, quarters)) if quarters else image

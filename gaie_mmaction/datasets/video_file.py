"""Frames of a video by their number, each one known by its time stamp.

A decoder gives frames without a number. Counting what comes out of it, as decord does, goes
wrong after a seek into an open group of pictures, with frames that an edit
list hides, and wherever damage swallows a frame. Here the packets are read
once without decoding; their time stamps in order are the frame numbers. After that a frame is
the asked one if, and only if, it carries that time stamp.

Damage inside the compressed data is an error where the decoder notices it. H.264 has no
checksum: a few wrong bytes can give a distorted frame without one.
"""
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

# what FFmpeg may take a file for: a playlist or script (concat, hls) would have it read others
CONTAINERS = ('mov', 'matroska', 'avi', 'mpegts', 'mpeg', 'asf', 'flv', 'ogg', 'gif', 'h264',
              'hevc')
REMEDY = ('re-encode it: ffmpeg -i IN.mp4 -fps_mode passthrough -c:v libx264 -crf 18 OUT.mp4')


# tables of at most so many files are kept by a process: some 100 bytes and 8 a frame each
MAX_TABLES = 20000
_TABLES: dict[tuple, 'FrameTable'] = {}


class VideoReadError(Exception):
    """A clip cannot be read: the file is missing, damaged, or too short for its range."""


@dataclass(frozen=True)
class FrameTable:
    """What the packets of a video say of its frames.

    Attributes:
        times (np.ndarray): ``(frames,)`` int64, time stamp of each frame, ascending.
        keys (np.ndarray): ``(keys, 3)`` int64, of each key frame its time stamp, its
            decoding time stamp, and the time stamp of the key frame to start from:
            itself, or the one before where frames shown earlier come after it in the
            file (open group of pictures).
    """
    times: np.ndarray
    keys: np.ndarray


class VideoFile:
    """A video whose frames are read by number.

    Frames count from 0 in the order of display; those that an edit list hides do
    not count. A video that is to be rotated for display is rotated.

    Args:
        filename (str): Path.

    Attributes:
        fps (float): Average frame rate in frames/s, 0 if unknown.

    Raises:
        VideoReadError: If the file is missing, empty, no video, incomplete, or its
            frames cannot be told apart by their time stamps.
    """

    def __init__(self, filename: str | Path) -> None:
        self.filename = os.fspath(filename)
        try:
            status = os.stat(self.filename)
        except OSError as error:
            raise VideoReadError(f'it cannot be opened ({error.strerror})') from error
        if status.st_size == 0:
            raise VideoReadError('the file is empty')
        try:
            self._container = _open(self.filename)
        except (av.FFmpegError, OSError) as error:
            raise VideoReadError(f'it is not a video or is damaged ({_first_line(error)}); the '
                                 f'containers read are {", ".join(CONTAINERS)}') from error
        try:
            self._table = _frame_table(
                self._container, (self.filename, status.st_size, status.st_mtime_ns))
        except VideoReadError:
            self.close()
            raise
        self._stream = self._container.streams.video[0]
        self.fps = float(self._stream.average_rate or 0)
        context = self._stream.codec_context
        context.thread_count = 1  # several DataLoader workers share the processor
        context.options = {'err_detect': 'explode'}  # damage is an error, never a patched frame
        context.open(strict=False)  # before skip_frame is set, which libdav1d takes for good

    def __len__(self) -> int:
        return len(self._table.times)

    def __enter__(self) -> 'VideoFile':
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()

    def read(self, frame_inds: Sequence[int] | np.ndarray) -> list[np.ndarray]:
        """Decode frames.

        Args:
            frame_inds (Sequence[int]): Frame numbers, any order, repeats allowed,
                in [0, len(self)).

        Returns:
            list[np.ndarray]: ``(H, W, 3)`` uint8, RGB, in the order of ``frame_inds``.

        Raises:
            IndexError: If a number is outside the video.
            VideoReadError: If one of the frames, or one that it is predicted from, is damaged.
        """
        images = {number: to_rgb(frame) for number, frame in self.frames(frame_inds)}
        return [images[number] for number in map(int, frame_inds)]

    def frames(self, frame_inds: Sequence[int] | np.ndarray
               ) -> Iterator[tuple[int, av.VideoFrame]]:
        """Decode frames in order, as they come, without conversion.

        Args:
            frame_inds (Sequence[int]): As in :meth:`read`; repeats come once.

        Yields:
            tuple[int, av.VideoFrame]: Frame number and frame, ascending.

        Raises:
            IndexError, VideoReadError: As :meth:`read`.
        """
        numbers = np.unique(np.asarray(frame_inds, dtype=np.int64))
        if len(numbers) == 0:
            return
        if not 0 <= numbers[0] <= numbers[-1] < len(self):
            raise IndexError(f'frames {numbers[0]}..{numbers[-1]} are outside the {len(self)} '
                             f'frames of {self.filename}')
        times = self._table.times[numbers]
        # frames shown before a key frame may need earlier ones, those after it do not
        keys = np.searchsorted(self._table.keys[:, 0], times, side='right') - 1
        # where whole groups of pictures lie between two frames, go to the next one directly
        for part in np.split(np.arange(len(numbers)), np.flatnonzero(np.diff(keys) > 1) + 1):
            wanted = dict(zip(times[part].tolist(), numbers[part].tolist()))
            try:
                yield from self._decode(wanted, int(keys[part[0]]))
            except av.FFmpegError as error:
                raise VideoReadError(f'decoding frames {numbers[0]}..{numbers[-1]} failed '
                                     f'({_first_line(error)})') from error
            if wanted:
                raise VideoReadError(f'{len(wanted)} of the {len(numbers)} frames '
                                     f'{numbers[0]}..{numbers[-1]} could not be decoded')

    def _decode(self, wanted: dict, key: int) -> Iterator[tuple[int, av.VideoFrame]]:
        """Yield frames, given as number by time stamp, from a key frame on; take them out."""
        context = self._stream.codec_context
        key_time, key_dts, start_time = self._table.keys[key].tolist()
        at_key = False
        for packet in self._packets_from(start_time, key_dts):
            at_key |= packet.pts == key_time
            # a frame that is neither asked for nor predicted from needs no decoding
            skip = packet.size > 0 and packet.pts not in wanted
            context.skip_frame = 'NONREF' if skip else 'DEFAULT'
            try:
                frames = cast(list[av.VideoFrame], packet.decode())  # of a video's packet
            except av.FFmpegError:
                if packet.size > 0 and not at_key:
                    continue  # a start at an open group: its first frames lack references
                raise
            for frame in frames:
                if frame.pts is None or frame.pts < key_time:
                    continue
                if frame.is_corrupt:
                    raise VideoReadError(f'the frame at time stamp {frame.pts} is damaged')
                if frame.pts in wanted:
                    yield wanted.pop(frame.pts), frame
            if not wanted:
                return

    def _packets_from(self, time: int, key_dts: int) -> Iterator[av.Packet]:
        """Packets from the key frame at ``time`` on; it is not behind the one at ``key_dts``."""
        # formats look for the time stamp, for the decoding time stamp, or land somewhere near
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


def _open(filename: str, **options: str) -> av.container.InputContainer:
    options.update(format_whitelist=','.join(CONTAINERS), protocol_whitelist='file')
    # texts in another encoding than UTF-8 do no harm: none is used
    return av.open(filename, options=options, metadata_errors='replace')


def _frame_table(container: av.container.InputContainer, key: tuple) -> FrameTable:
    # a process looks at a file once, as long as its size and time of change stay the same
    if key not in _TABLES:
        if len(_TABLES) >= MAX_TABLES:
            _TABLES.clear()
        _TABLES[key] = _scan(container)
    return _TABLES[key]


def _scan(container: av.container.InputContainer) -> FrameTable:
    """Read all packets, decode none."""
    if not container.streams.video:
        raise VideoReadError('it has no video stream')
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise VideoReadError('FFmpeg does not know its codec')
    times, keys, open_keys, num_packets = [], [], set(), 0
    try:
        for packet in container.demux(stream):
            if packet.size == 0:  # ends the stream
                continue
            if packet.is_corrupt:
                raise VideoReadError('it is incomplete: its last packet is cut off')
            if packet.pts is None:
                raise VideoReadError(f'its frames have no time stamps; {REMEDY}')
            num_packets += 1
            if packet.is_keyframe:
                # Matroska has no decoding time stamps, and FFmpeg none for a file's first packets
                keys.append((packet.pts, packet.pts if packet.dts is None else packet.dts))
            elif keys and packet.pts < keys[-1][0]:
                open_keys.add(keys[-1])
            if not packet.is_discard:  # an edit list hides the others
                times.append(packet.pts)
    except av.FFmpegError as error:
        raise VideoReadError(f'it is damaged ({_first_line(error)})') from error
    if num_packets < stream.frames:
        num_packets = _count_packets(container.name)
    if num_packets < stream.frames:
        raise VideoReadError(f'it is incomplete: {num_packets} of the {stream.frames} frames that '
                             'its header announces')
    if not times:
        raise VideoReadError('it holds no frame')
    if (container.format.name == 'avi' and stream.codec_context.has_b_frames
            and times == sorted(times)):
        # AVI has no time stamps; only of some codecs FFmpeg finds them in the packets
        raise VideoReadError(f'its frames come in another order than they are shown in, without '
                             f'time stamps; {REMEDY}')
    keys.sort()
    starts = np.array([(*key, keys[max(k - (key in open_keys), 0)][0])
                       for k, key in enumerate(keys)])
    shown = np.sort(times)
    if (shown[1:] == shown[:-1]).any():
        raise VideoReadError(f'some of its frames have the same time stamp; {REMEDY}')
    if len(starts) == 0 or starts[0, 0] > shown[0]:
        raise VideoReadError('it does not start at a key frame: its first frames cannot be decoded')
    return FrameTable(times=shown, keys=starts)


def _count_packets(filename: str) -> int:
    """All of them, those too that an edit list leaves out: whole groups are not even given."""
    with _open(filename, ignore_editlist='1') as container:
        number = sum(packet.size > 0 for packet in container.demux(container.streams.video[0]))
    return number


def to_rgb(frame: av.VideoFrame) -> np.ndarray:
    """Pixels of a frame as they are to be seen: with its own colour matrix and range, rotated.

    Args:
        frame (av.VideoFrame): As decoded.

    Returns:
        np.ndarray: ``(H, W, 3)`` uint8, RGB.
    """
    # PyAV looks at matrix and range only where source and target are said to differ
    image = frame.reformat(
        format='rgb24', src_colorspace=frame.colorspace, dst_colorspace=Colorspace.DEFAULT,
        src_color_range=frame.color_range, dst_color_range=ColorRange.MPEG).to_ndarray()
    quarters = round(frame.rotation / 90) % 4  # counterclockwise
    return np.ascontiguousarray(np.rot90(image, quarters)) if quarters else image


def _first_line(error: Exception) -> str:
    text = getattr(error, 'strerror', None) or str(error)
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__

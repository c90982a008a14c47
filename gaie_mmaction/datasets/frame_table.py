"""Which frames a video has, by the time stamps of its packets, and whether any are missing."""
import os
from typing import NamedTuple

import av
import numpy as np

from .matroska import check_matroska

# What FFmpeg may take a file for: a playlist or script (concat, hls) would have it read others
CONTAINERS = ('mov', 'matroska', 'avi', 'mpegts', 'mpeg', 'asf', 'flv', 'ogg', 'gif', 'h264',
              'hevc')
REMEDY = 're-encode it: ffmpeg -i IN.mp4 -fps_mode passthrough -c:v libx264 -crf 18 OUT.mp4'
MAX_TABLES = 20000  # kept by a process: some 100 bytes and 8 per frame each
_TABLES: dict[tuple, 'FrameTable'] = {}


class VideoReadError(Exception):
    """A clip cannot be read: the file is missing, damaged, too large or too short."""


class FrameTable(NamedTuple):
    """What the packets of a video say about its frames.

    Attributes:
        times (np.ndarray): ``(frames,)`` int64, time stamp of each frame, ascending.
        keys (np.ndarray): ``(keys, 3)`` int64: time stamp and decoding time stamp of each key
            frame, and the time stamp of the key frame to start decoding from (the previous one in
            an open GOP, where frames shown earlier follow in the file).
    """
    times: np.ndarray
    keys: np.ndarray


def open_container(filename: str, **options: str) -> av.container.InputContainer:
    """Open a video; nothing but this file is read, whatever it contains."""
    # Nothing is decoded on opening, which is faster, and no hostile size is allocated.
    # `options` instead of `container_options` would crash on streams that begin after the header:
    # https://github.com/PyAV-Org/PyAV/issues/2010
    options.update(format_whitelist=','.join(CONTAINERS), protocol_whitelist='file',
                   codec_whitelist='none')
    # metadata in another encoding than UTF-8 does no harm: none is used
    # absolute, as FFmpeg takes what stands before a colon for a protocol
    return av.open(os.path.abspath(filename), container_options=options,
                   metadata_errors='replace')


def get_frame_table(container: av.container.InputContainer, key: tuple) -> FrameTable:
    """Table of a video, scanned once per process for each ``key`` (path, size, modification)."""
    if key not in _TABLES:
        if len(_TABLES) >= MAX_TABLES:
            _TABLES.clear()
        _TABLES[key] = scan(container)
    return _TABLES[key]


def scan(container: av.container.InputContainer) -> FrameTable:
    """Read all packets without decoding any; a file that is not whole is a VideoReadError."""
    if 'matroska' in container.format.name:
        try:
            check_matroska(container.name, len(container.streams))
        except ValueError as error:
            raise VideoReadError(str(error)) from None
    stream = container.streams.video[0]
    times, keys, open_keys, stamps = [], [], set(), []
    try:
        for packet in container.demux(stream):
            if packet.size == 0:  # ends the stream
                continue
            if packet.is_corrupt:
                raise VideoReadError('it is incomplete: its last packet is cut off')
            if packet.pts is None:
                raise VideoReadError(f'its frames have no time stamps; {REMEDY}')
            stamps.append((packet.pts, packet.dts))
            if packet.is_keyframe:
                # Matroska has no decoding time stamps, and FFmpeg none for a file's first packets
                keys.append((packet.pts, packet.pts if packet.dts is None else packet.dts))
            elif keys and packet.pts < keys[-1][0]:
                open_keys.add(keys[-1])
            if not packet.is_discard:  # an edit list hides the others
                times.append(packet.pts)
    except av.FFmpegError as error:
        raise VideoReadError(f'it is damaged ({first_line(error)})') from error
    # AVI counts dropped frames, which are empty, and numbers the others; numbers of B-frames are
    # FFmpeg's guess
    in_order = container.format.name == 'avi' and times == sorted(times)
    _require_all_packets(container, times[-1] + 1 if in_order and times else len(stamps))
    if not times:
        raise VideoReadError('it holds no frame')
    if in_order and stream.codec_context.has_b_frames:
        # AVI has no time stamps; only for some codecs FFmpeg finds them in the packets
        raise VideoReadError('its frames are stored in another order than they are shown in, '
                             f'without time stamps; {REMEDY}')
    keys.sort()
    starts = np.array([(*key, keys[max(k - (key in open_keys), 0)][0])
                       for k, key in enumerate(keys)])
    shown = np.sort(times)
    if (shown[1:] == shown[:-1]).any():
        raise VideoReadError(f'some of its frames have the same time stamp; {REMEDY}')
    if len(starts) == 0 or starts[0, 0] > shown[0]:
        raise VideoReadError('it does not start at a key frame: its first frames cannot be decoded')
    if stream.frames and 'mp4' in container.format.name:
        _require_whole_header(shown, np.array(stamps), stream)
    return FrameTable(times=shown, keys=starts)


def _require_all_packets(container: av.container.InputContainer, number: int) -> None:
    announced = container.streams.video[0].frames
    if number < announced:
        # an edit list can hide whole groups of pictures, which are then not even demuxed
        with open_container(container.name, ignore_editlist='1') as whole:
            stream = whole.streams.video[0]
            times = [packet.dts or 0 for packet in whole.demux(stream) if packet.size]
        number = len(times)
        span = times[-1] - times[0] if times else 0
        if 'mp4' in container.format.name and span >= (stream.duration or np.inf):
            # a table that makes frames longer moves them behind the end of the edit list
            raise VideoReadError(f'its header is damaged: its last frame is decoded after {span} '
                                 f'ticks, but it announces {stream.duration}')
    if number < announced:
        # an AVI's header counts a held last frame as often as it is shown
        held = f'. If it plays to its end, {REMEDY}' if container.format.name == 'avi' else ''
        raise VideoReadError(f'it is incomplete: {number} of the {announced} frames that its '
                             f'header announces{held}')


def _require_whole_header(shown: np.ndarray, stamps: np.ndarray,
                          stream: av.video.stream.VideoStream) -> None:
    """Damage in an mp4's tables of times hides or reorders frames, and FFmpeg says nothing."""
    steps, times = np.diff(stamps[:, 1]), np.sort(stamps[:, 0])
    # A variable rate varies in both. Only a damaged table decodes at a constant rate what it shows
    # at another; but where a video was cut without re-encoding it, frames that are shown after the
    # last one is decoded may be missing.
    gaps = np.diff(times)[times[1:] <= stamps[:, 1].max()]
    if len(steps) and (steps == steps[0]).all() and (gaps != steps[0]).any():
        raise VideoReadError(
            f'its header is damaged: frames are decoded every {steps[0]} ticks, but '
            f'{(gaps != steps[0]).sum()} of {len(gaps)} are not shown at this rate. If '
            f'it plays to its end, {REMEDY}')
    longest = int(np.diff(shown).max(initial=0))
    found = int(shown[-1] - shown[0]) + longest
    # an edit may begin and end between two frames; where all frames are shown, the last is held
    hidden = len(shown) < stream.frames
    if stream.duration is None or (longest and hidden and stream.duration - found > longest):
        raise VideoReadError(f'its header is damaged: the frames found last {found} ticks, but it '
                             f'announces {stream.duration}')


def first_line(error: Exception) -> str:
    """What an error of FFmpeg says, in one line."""
    text = getattr(error, 'strerror', None) or str(error)
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__

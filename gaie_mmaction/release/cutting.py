"""Cutting whole videos into short clips that load fast."""
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.video.reformatter import ColorRange

from ..datasets.video_file import VideoFile, VideoReadError, to_rgb
from ..utils.files import atomic_file
from .report import ReleaseError

SHORT_SIDE = 256
# A group of 8 keeps the way to any frame short. One thread, and no macroblock tree: the same clip
# has the same bytes at any time.
ENCODER = dict(
    crf='18', preset='veryfast', g='8', bf='2', threads='1',
    **{'x264-params': 'mbtree=0:scenecut=0:open-gop=0'})
FORMAT = 1  # raised when clips that were cut before have to be cut again


def cut_clips(video: Path, name: str, rows: Sequence[tuple], out: Path) -> tuple[int, list[str]]:
    """Cut clips of one video; those that are there already are left alone.

    Args:
        video (Path): The whole video.
        name (str): How clips remember it: its path in the release.
        rows (Sequence[tuple]): Rows of the segment csv.
        out (Path): Folder for ``<clip_id>.mp4``.

    Returns:
        tuple[int, list[str]]: How many clips were written, and a line about each one that
        cannot be.

    Raises:
        ReleaseError: If the folder is full or cannot be written to.
    """
    written, faults = 0, []
    status = video.stat()
    version = f'{status.st_size} bytes, modified {status.st_mtime_ns}'
    for clip_id, _, start, end, _ in rows:
        path = out / f'{clip_id}.mp4'
        origin = f'{name} ({version}), frames {start}..{end}, format {FORMAT}'
        if origin_of(path) == origin:
            continue
        try:
            with VideoFile(video) as reader, atomic_file(path, durable=True) as partial:
                _encode(reader, range(start, end + 1), partial, origin)
            written += 1
        except VideoReadError as error:
            faults.append(f'{clip_id} was not cut: {error}')
        except OSError as error:
            raise ReleaseError(f'{path} cannot be written: {error.strerror}. Clips cut so far are '
                               'whole; mend it and run again, which cuts only what is '
                               'missing') from error
    return written, faults


def origin_of(path: Path) -> str:
    """What a clip was cut from; empty if it is not there or no such clip."""
    try:
        with av.open(os.fspath(path)) as container:
            origin = container.metadata.get('comment', '')
    except (av.FFmpegError, OSError):
        return ''  # not there, or not whole: cut it
    return origin


def _encode(reader: VideoFile, numbers: range, out_file: Path, origin: str) -> None:
    options = dict(movflags='+faststart', fflags='+bitexact')
    with av.open(os.fspath(out_file), 'w', format='mp4', options=options) as container:
        container.metadata['comment'] = origin
        rate = Fraction(reader.fps or 25).limit_denominator(1001)
        stream: av.VideoStream | None = None
        for place, (_, frame) in enumerate(reader.frames(numbers)):
            if frame.rotation:  # a clip is upright by itself
                frame = av.VideoFrame.from_ndarray(to_rgb(frame), format='rgb24')
            if stream is None:
                stream = container.add_stream('libx264', rate=rate, options=ENCODER)
                stream.width, stream.height = clip_size(frame.width, frame.height)
                stream.pix_fmt = 'yuv420p'
                if not frame.format.is_rgb:  # the colours' matrix stays, so it has to be named
                    stream.codec_context.colorspace = frame.colorspace
            frame = frame.reformat(stream.width, stream.height, 'yuv420p',
                                   src_color_range=frame.color_range,
                                   dst_color_range=ColorRange.MPEG)
            frame.pts, frame.time_base = place, 1 / rate
            frame.pict_type = 0
            container.mux(stream.encode(frame))
        assert stream is not None  # a clip has a frame at least
        container.mux(stream.encode())


def clip_size(width: int, height: int) -> tuple[int, int]:
    """Size of a clip: short side 256 or as it is if smaller, both sides even.

    Args:
        width, height (int): Of the video, in pixels.

    Returns:
        tuple[int, int]: Width and height.
    """
    scale = min(1, SHORT_SIDE / min(width, height))
    width, height = (max(2, 2 * round(side * scale / 2)) for side in (width, height))
    return width, height

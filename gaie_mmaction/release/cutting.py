"""Cut whole videos into short clips that load fast."""
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
from av.video.reformatter import ColorRange

from ..datasets.annotations import Segment
from ..datasets.frame_table import open_container
from ..datasets.video_file import VideoFile, VideoReadError, to_rgb
from ..utils.files import atomic_file, remove_partial_files
from ..utils.parallel import in_parallel
from .report import ReleaseError, Report

SHORT_SIDE = 256
CLIPS_PER_TASK = 16
# A key frame in every 8 keeps seeking fast, and without CABAC and deblocking a clip decodes in less
# than half the time, for 7 % more bytes. One thread, and no macroblock tree: the same clip always
# has the same bytes.
ENCODER = dict(
    crf='18', preset='veryfast', tune='fastdecode', g='8', bf='2', threads='1',
    **{'x264-params': 'mbtree=0:scenecut=0:open-gop=0'})
FORMAT = 2  # raised when clips that were cut before have to be cut again
Encoder = Callable[[VideoFile, range, Path, str], None]  # video, frames, output, its comment


def cut_all(segments: Sequence[Segment], root: Path, out: Path, workers: int,
            report: Report) -> None:
    """Cut every clip that is not there yet; ``report`` gets their number and the failures."""
    report.clips_cut, failures = write_clips(segments, root, out, workers, 'cutting', encode_clip,
                                              f'format {FORMAT}')
    for video, error in failures:
        report.add('clips that could not be cut', video, error)


def write_clips(segments: Sequence[Segment], root: Path, out: Path, workers: int, title: str,
                encode: Encoder, kind: str) -> tuple[int, list[tuple[str, str]]]:
    """Write a video of every clip that is not there yet, in parallel.

    ``<out>/<clip_id>.mp4``, from the videos in ``root``, by ``encode``; clips of another ``kind``
    than it writes are written anew. ``title`` stands before the progress bar.

    Returns:
        tuple[int, list[tuple[str, str]]]: How many were written; video and reason of each failure.
    """
    out.mkdir(parents=True, exist_ok=True)
    remove_partial_files(out)
    by_video: dict[str, list[Segment]] = {}
    for segment in segments:
        by_video.setdefault(segment.video, []).append(segment)
    jobs = {(video, start): (root / video, video, own[start:start + CLIPS_PER_TASK], out,
                             encode, kind)
            for video, own in by_video.items() for start in range(0, len(own), CLIPS_PER_TASK)}
    try:
        results = dict(in_parallel(cut_clips, jobs, workers, title, 'clip',
                                   lambda key: len(jobs[key][2])))
    finally:
        remove_partial_files(out)
    return (sum(written for written, _ in results.values()),
            [(video, error) for (video, _), (_, errors) in sorted(results.items())
             for error in errors])


def cut_clips(video: Path, name: str, segments: Sequence[Segment], out: Path, encode: Encoder,
              kind: str) -> tuple[int, list[str]]:
    """Write what ``out`` lacks of one video's clips: how many were written, and the failures."""
    written, errors = 0, []
    try:
        status = video.stat()
    except OSError as error:
        return 0, [f'{segment.clip_id} was not written: {video} cannot be read '
                   f'({error.strerror})' for segment in segments]
    version = f'{status.st_size} bytes, modified {status.st_mtime_ns}'
    for clip_id, _, start, end, _ in segments:
        path = out / f'{clip_id}.mp4'
        origin = f'{name} ({version}), frames {start}..{end}, {kind}'
        if get_origin(path) == origin:
            continue
        try:
            with VideoFile(video) as reader, atomic_file(path, durable=True) as partial:
                last = len(reader) - 1 if end == -1 else end
                encode(reader, range(start, last + 1), partial, origin)
            written += 1
        except (VideoReadError, IndexError) as error:
            errors.append(f'{clip_id} was not written: {error}')
        except OSError as error:
            raise ReleaseError(f'{path} cannot be written: {error.strerror}. Mend it and run '
                               'again, which writes only what is missing') from error
    return written, errors


def get_origin(path: Path) -> str:
    """What a clip was cut from, which is its comment; empty if it is missing or incomplete."""
    origin = ''
    with suppress(av.FFmpegError, OSError), open_container(os.fspath(path)) as container:
        origin = container.metadata.get('comment', '')
    return origin


def encode_clip(reader: VideoFile, numbers: range, out_file: Path, origin: str) -> None:
    """Encode some frames at the clips' size."""
    options = dict(movflags='+faststart', fflags='+bitexact')
    with av.open(os.fspath(out_file), 'w', format='mp4', options=options) as container:
        container.metadata['comment'] = origin
        rate = Fraction(reader.fps or 25).limit_denominator(1001)
        stream: av.VideoStream | None = None
        for place, (_, frame) in enumerate(reader.frames(numbers)):
            if frame.rotation:  # clips are stored upright
                frame = av.VideoFrame.from_ndarray(to_rgb(frame), format='rgb24')
            if stream is None:
                stream = container.add_stream('libx264', rate=rate, options=ENCODER)
                stream.width, stream.height = clip_size(frame.width, frame.height)
                stream.pix_fmt = 'yuv420p'
                if not frame.format.is_rgb:  # the colour matrix is kept, so it has to be named
                    stream.codec_context.colorspace = frame.colorspace
            frame = frame.reformat(stream.width, stream.height, 'yuv420p',
                                   src_color_range=frame.color_range,
                                   dst_color_range=ColorRange.MPEG)
            frame.pts, frame.time_base = place, 1 / rate
            frame.pict_type = 0
            container.mux(stream.encode(frame))
        assert stream is not None  # a clip has at least one frame
        container.mux(stream.encode())


def clip_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of a clip: short side at most 256, both sides even."""
    scale = min(1, SHORT_SIDE / min(width, height))
    width, height = (max(2, 2 * round(side * scale / 2)) for side in (width, height))
    return width, height

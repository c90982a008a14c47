"""Small looping videos of clips."""
import hashlib
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from ..apis.footage import open_footage
from ..datasets.video_file import VideoReadError
from ..utils.files import atomic_file, remove_partial_files
from ..utils.parallel import in_parallel
from ..visualization.video_writer import VideoWriter
from .clips import ClipInfo

WIDTH, MAX_FRAMES = 208, 32
MAX_BYTES = 50_000  # 390 MB for iMiGUE's test part, those of tokens included
QUALITIES = (28, 36, 44, 51)  # x264's constant rate factor, the first that is small enough


def make_previews(clips: Sequence[ClipInfo], folder: Path, workers: int
                  ) -> tuple[list[str | None], list[str]]:
    """Write an mp4 per clip into ``folder``, in parallel; those that are there already are kept.

    Returns the file name of each clip's preview, None where there is none, and notes on those.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_partial_files(folder)
    names = [file_name(clip) for clip in clips]
    jobs = {name: (clip, folder / name) for clip, name in zip(clips, names)
            if name and not (folder / name).exists()}
    failed = {name: error for name, error in in_parallel(
        write_preview, jobs, workers, 'Previews', 'clip') if error}
    missing = names.count(None)
    notes = [f'{missing} clips have no preview: their videos are unknown'] if missing else []
    if failed:
        notes.append(f'{len(failed)} clips have no preview, e.g.: {next(iter(failed.values()))}')
    return [None if name in failed else name for name in names], notes


def write_preview(clip: ClipInfo, path: Path) -> str:
    """Write up to 32 frames of a clip, spread evenly over its duration; returns the error, if any.

    The file takes at most 50 kB.
    """
    assert clip.filename is not None
    try:
        with open_footage(clip.filename) as footage:
            end = len(footage) - 1 if clip.end == -1 else clip.end
            length = end - clip.start + 1
            number = min(length, MAX_FRAMES)
            frames = footage.read(np.linspace(clip.start, end, number).round().astype(int))
            rate = (footage.fps or 25) * number / length
        height = max(2, round(WIDTH * frames[0].shape[0] / frames[0].shape[1]))
        write_small_video(path, [cv2.resize(frame, (WIDTH, height), interpolation=cv2.INTER_AREA)
                                 for frame in frames], rate, MAX_BYTES)
        return ''
    except (VideoReadError, IndexError, OSError) as error:  # IndexError: beyond the last frame
        return f'{clip.filename}: {error}'


def write_small_video(path: Path, frames: Sequence[np.ndarray], rate: Fraction | float,
                      max_bytes: int) -> None:
    """Write an mp4 in the best quality that is small enough; an ``OSError`` if none is."""
    with atomic_file(path) as partial:
        for quality in QUALITIES:
            with VideoWriter(partial, rate, quality) as writer:
                for frame in frames:
                    writer.write(frame)
            if partial.stat().st_size <= max_bytes:
                return
        raise OSError(f'its preview takes more than {max_bytes} bytes')


def file_name(clip: ClipInfo, network: str = '') -> str | None:
    """A name that changes with the clip's video; ids may hold what no file name can.

    ``network`` is what else the content follows from.
    """
    if clip.filename is None:
        return None
    key = f'{identify(clip.filename)}:{clip.start}:{clip.end}:{network}'
    return f'{hashlib.sha256(key.encode()).hexdigest()[:20]}.mp4'


def identify(path: str) -> str:
    """A file's path and the time of its last change, if it exists."""
    changed = os.stat(path).st_mtime_ns if os.path.exists(path) else 0
    return f'{os.path.abspath(path)}:{changed}'

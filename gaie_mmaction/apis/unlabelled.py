"""Unlabelled clips for masked pretraining: windows of whole videos, as a segment csv."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..datasets.annotations import Segment, read_annotations, write_segments
from ..datasets.video_file import VideoFile, VideoReadError
from ..release.layout import find_files
from ..utils.parallel import in_parallel
from .footage import VIDEOS

UNLABELLED = -1


def spaced_windows(num_frames: int, window: int, number: int) -> list[int]:
    """First frames of ``number`` windows, evenly spaced from the start to the end of a video.

    A video that has fewer different windows gives them all.
    """
    starts = np.linspace(0, num_frames - window, number).round().astype(int)
    return np.unique(starts).tolist()


def write_windows(root: Path, out: Path, *, per_video: int, window: int,
                  ann_files: Sequence[Path] = (), workers: int = 1) -> tuple[int, dict[str, str]]:
    """Write windows of whole videos into a segment csv for ``IMiGUEDataset``, without labels.

    Every video counts alike, however long it is. The same videos give the same file.

    Args:
        root (Path): Folder of the videos, ``data_prefix.video`` of the dataset.
        out (Path): Path of the csv.
        per_video, window (int): Number of windows of each video, and frames of a window
            (``clip_len * frame_interval`` of the pipeline's ``SampleFrames``), at least 1.
        ann_files (Sequence[Path]): Only the videos that these annotation files name. Defaults to
            (), all below ``root``.
        workers (int): Number of processes. Defaults to 1.

    Returns:
        tuple[int, dict[str, str]]: Number of windows, and why videos are left out, by name.

    Raises:
        ValueError: If a number is below 1, or there is no video with a window.
    """
    for name, value in (('per_video', per_video), ('window', window)):
        if value < 1:
            raise ValueError(f'{name} must be at least 1, but got {value}')
    if ann_files:
        videos = {clip['video'] for path in ann_files
                  for clip in read_annotations(str(path), num_classes=2**31)}
    else:
        videos = {path.relative_to(root).as_posix() for path in find_files(root, VIDEOS, out)}
    if not videos:
        raise ValueError(f'{root} holds no video: give the folder of the videos; the file names '
                         f'looked for end in {", ".join(VIDEOS)}')
    jobs = {video: (root / video, window) for video in sorted(videos)}
    lengths = dict(in_parallel(_num_frames, jobs, workers, 'Counting frames', 'video'))
    left_out = {video: lengths[video] for video in jobs if isinstance(lengths[video], str)}
    segments = [
        Segment(f'{video}:{start}', video, start, start + window - 1, UNLABELLED)
        for video in jobs if video not in left_out
        for start in spaced_windows(lengths[video], window, per_video)]
    if not segments:
        video, reason = next(iter(left_out.items()))
        raise ValueError(f'none of the {len(videos)} videos of {root} can be used. The first is '
                         f'{video}: {reason}')
    write_segments(out, segments)
    return len(segments), left_out


def _num_frames(path: Path, window: int) -> int | str:
    """Number of frames, or why the video is left out."""
    try:
        with VideoFile(path) as reader:
            num_frames = len(reader)
    except VideoReadError as error:
        return str(error)
    if num_frames < window:
        return (f'it has {num_frames} frames, fewer than a window of {window}: choose a shorter '
                'window')
    return num_frames

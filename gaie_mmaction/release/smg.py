"""SMG as the datasets read it: segments of whole videos, clips, joints."""
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pandas as pd

from ..datasets.annotations import Segment, write_annotations
from ..datasets.feature_sequences import write_feature_file
from ..datasets.frame_table import VideoReadError
from ..datasets.segment_file import check_segments, write_segments
from ..datasets.smg_classes import SMG_CODES
from ..datasets.video_file import VideoFile
from ..utils.files import locked_folder
from .layout import find_files, walk
from .prepare import link_videos
from .report import ReleaseError, Report

TRAIN_SAMPLES = 35  # Sample0001 to Sample0035; Sample0036 to Sample0040 are the test part
VIDEOS = ('.mp4', '.avi')
SAMPLE = 'Sample[0-9][0-9][0-9][0-9]'
NUM_JOINTS, NUM_VALUES = 25, 11  # x, y, z, four of orientation, two in pixels, two unknown
VALUES = NUM_JOINTS * NUM_VALUES


@dataclass
class Sample:
    """Files of a sample."""
    name: str
    video: Path
    num_frames: int
    rows: list[tuple[int, int, int]]  # class code, start and end, as in the label file
    joints: np.ndarray | None  # (F, 75) float32


def prepare_smg(root: Path, out: Path) -> Report:
    """Write annotation files, joints, and a report of every deviation.

    ``root`` holds the folders ``Sample0001`` to ``Sample0040`` with ``*_finelabels.csv``,
    ``*_skeleton.csv`` and a video. ``out`` gets ``train`` and ``test`` as ``.csv`` (segments of
    whole videos) and ``.txt`` (cut clips), ``spotting/PART_segments.csv``, ``PART_joints.npz``
    (feature files with x, y, z of the joints), ``report.txt``, ``report.json``, and ``videos``, a
    link to ``root``.
    The organisers' scripts disagree on whether frames count from 0 or 1: the labels decide, and
    the report says how.

    Raises:
        ReleaseError: If no sample can be used.
        FolderInUseError: If another run writes into ``out``.
    """
    report = Report(published_clips=dict(test=610))
    (out / 'spotting').mkdir(parents=True, exist_ok=True)
    with locked_folder(out):
        samples = [sample for folder in _find_folders(root, out, report)
                   if (sample := _read_sample(folder, root, report))]
        if not samples:
            raise ReleaseError(f'no folder Sample0001 with labels and a video below {root}: give '
                               'the folder of the unpacked release')
        _check_names(samples, root)
        first = first_frame(samples, report)
        for part in ('train', 'test'):
            own = [sample for sample in samples
                   if (int(sample.name[-4:]) <= TRAIN_SAMPLES) == (part == 'train')]
            _write_part(root, out, part, own, first, report)
        link_videos(out, root)
        report.write(out)
    return report


def _find_folders(root: Path, out: Path, report: Report) -> list[Path]:
    """One folder of each sample: the outer one of Sample0001/Sample0001, as zips unpack to."""
    found: dict[str, Path] = {}
    for path in sorted(path for path, _ in walk(root, out) if fnmatch(path.name, SAMPLE)):
        first = found.setdefault(path.name, path)
        if first is not path and first not in path.parents:
            report.add('samples given twice', path.relative_to(root),
                       f'left out, {first.relative_to(root)} is used')
    return list(found.values())


def _check_names(samples: list[Sample], root: Path) -> None:
    """A video is known by its file name without the ending."""
    seen: dict[str, Path] = {}
    for sample in samples:
        first = seen.setdefault(sample.video.stem, sample.video)
        if first is not sample.video:
            raise ReleaseError(f'{first.relative_to(root)} and {sample.video.relative_to(root)} '
                               'have the same name: rename them by their samples, such as '
                               f'{sample.name}_color.mp4')


def first_frame(samples: list[Sample], report: Report) -> int:
    """Number of the first frame: 0 if a label starts there, else 1."""
    if any(start == 0 for sample in samples for _, start, _ in sample.rows):
        first, reason = 0, 'a label starts at 0'
    elif any(end == sample.num_frames for sample in samples for *_, end in sample.rows):
        first, reason = 1, 'no label starts at 0, and one ends at the number of frames'
    else:
        first, reason = 1, ('assumed, as no label starts at 0, and none ends at the number of '
                            'frames')
    report.add('first frame', 'all label files', f'frames count from {first}: {reason}')
    return first


def _read_sample(folder: Path, root: Path, report: Report) -> Sample | None:
    """A sample with labels and a video; what is missing or wrong is reported."""
    name = folder.relative_to(root)
    labels, joint_file, video = (_find_file(folder, endings, name, report) for endings in (
        ('_finelabels.csv', ), ('_skeleton.csv', ), VIDEOS))
    for path, what in ((labels, '_finelabels.csv'), (video, 'video')):
        if path is None:
            report.add('incomplete samples', name, f'has no {what}; left out')
    if labels is None or video is None:
        return None
    try:
        with VideoFile(str(video)) as file:
            num_frames = len(file)
    except VideoReadError as error:
        report.add('incomplete samples', name, f'its video cannot be read ({error}); left out')
        return None
    try:
        lines = labels.read_text(encoding='utf-8-sig').splitlines()
    except UnicodeDecodeError as error:
        report.add('incomplete samples', labels.relative_to(root),
                   f'is not UTF-8 text ({error}); the sample is left out')
        return None
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            code, start, end = map(int, line.split(','))
            if code not in SMG_CODES or not 0 <= start <= end:
                raise ValueError('needs a class in 1..17, and 0 <= start <= end')
            rows.append((code, start, end))
        except ValueError as error:
            report.add('label rows that cannot be read', labels.relative_to(root),
                       f'line {number}, {line!r}: {error}; left out')
    joints = _read_joints(joint_file, name, num_frames, report)
    return Sample(folder.name, video, num_frames, rows, joints)


def _find_file(folder: Path, endings: tuple[str, ...], name: Path, report: Report) -> Path | None:
    """The first file with one of the endings; that there are several is reported."""
    found = list(find_files(folder, endings, folder / 'none'))
    if len(found) > 1:
        report.add('samples with several files of a kind', name,
                   f'{found[0].name} is used, of {len(found)} with the ending '
                   f'{" or ".join(endings)}')
    return found[0] if found else None


def _read_joints(path: Path | None, name: Path, num_frames: int,
                 report: Report) -> np.ndarray | None:
    """x, y, z of the joints, ``(F, 75)``; None, and a line in the report, without usable ones."""
    if path is None:
        report.add('skeletons', name, 'has no _skeleton.csv')
        return None
    try:
        values = pd.read_csv(path, header=None).to_numpy(np.float32)
    except (ValueError, pd.errors.ParserError) as error:
        report.add('skeletons', name, f'cannot be read: {error}')
        return None
    if values.shape[1] != VALUES:
        report.add('skeletons', name, f'has {values.shape[1]} values per frame instead of {VALUES} '
                   f'({NUM_JOINTS} joints x {NUM_VALUES}); left out')
        return None
    if len(values) != num_frames:
        report.add('skeletons', name, f'has {len(values)} frames, the video {num_frames}: cut, or '
                   'the last frame repeated')
    values = values[np.arange(num_frames).clip(max=len(values) - 1)]
    joints = values.reshape(num_frames, NUM_JOINTS, NUM_VALUES)[..., :3].reshape(num_frames, -1)
    if missing := int((~np.isfinite(joints)).sum()):
        report.add('skeletons', name, f'{missing} coordinates are not finite; 0 is used')
    return np.where(np.isfinite(joints), joints, np.float32(0))


def _write_part(root: Path, out: Path, part: str, samples: list[Sample], first: int,
                report: Report) -> None:
    segments, rows = [], []
    for sample in samples:
        video = sample.video.relative_to(root).as_posix()
        for k, (code, start, end) in enumerate(sample.rows):
            start, end, last = start - first, end - first, sample.num_frames - 1
            if start > last:
                report.add('segments outside their video', f'{sample.name}, row {k}',
                           f'starts at {start}, the last frame is {last}; left out')
                continue
            if end > last:
                report.add('segments outside their video', f'{sample.name}, row {k}',
                           f'ends at {end}, the last frame is {last}; cut there')
            segments.append(Segment(f'{sample.name}_{k}', video, start, min(end, last), code - 1))
            rows.append((sample.video.stem, start, min(end, last), code - 1))
    lengths = {sample.video.stem: sample.num_frames for sample in samples}
    for line in check_segments(rows, lengths, part):
        report.add('overlapping segments of a class', part, line)
    write_annotations(out / part, segments)
    write_segments(out / 'spotting' / f'{part}_segments.csv', rows)
    report.videos[part], report.clips[part] = len(samples), len(segments)
    joints = {sample.video.stem: sample.joints for sample in samples if sample.joints is not None}
    joint_file = out / 'spotting' / f'{part}_joints.npz'
    joint_file.unlink(missing_ok=True)  # perhaps of an earlier run
    report.skeletons[part] = len(joints)
    if joints:
        write_feature_file(joint_file, joints)

"""Rows of the annotation files: the parts, and splits made of them."""
import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from ..datasets.annotations import Segment
from ..datasets.imigue_classes import IMIGUE_CLASSES
from .labels import LabelRow, LicensedTable, label_of, read_label_file
from .layout import PARTS, Layout
from .report import Report
from .video_info import VideoInfo

# of the paper's cross-subject protocol; the others of 1..72 are for testing
TRAIN_SUBJECTS = frozenset((2, 4, 5, 6, 9, 10, 12, 13, 14, 15, 17, 18, 20, 21, 22, 23, 25, 28, 29,
                            30, 31, 35, 36, 38, 39, 41, 42, 43, 44, 46, 47, 48, 52, 53, 59, 61, 62))
HOLDOUT_FOLDS = 10

Splits = dict[str, list[Segment]]


def make_parts(layout: Layout, infos: dict[str, VideoInfo], licensed: LicensedTable,
               report: Report) -> Splits:
    """Segments of ``train``, ``val`` and ``test``, by label files where there are any."""
    parts: Splits = {part: [] for part in PARTS}
    report.videos = dict.fromkeys(PARTS, 0)
    labelled = {**dict.fromkeys(licensed.rows, 'label table'),
                **{video_id: layout.name(path) for video_id, path in layout.label_files.items()}}
    for video_id in sorted(labelled.keys() - layout.videos.keys()):
        report.add('labels without a video', labelled[video_id],
                   f'there is no usable {video_id}.mp4; its clips are left out')
    for video_id in sorted(infos):
        part, video = layout.part_of[video_id], layout.name(layout.videos[video_id])
        if video_id in layout.label_files:
            source = labelled[video_id]
            rows = read_label_file(layout.label_files[video_id], source, report)
        elif video_id in licensed.rows:
            source, rows = video, licensed.rows[video_id]
        else:
            report.add('videos without labels', video, f'there is no usable {video_id}_label.csv; '
                       'not used')
            continue
        report.videos[part] += 1
        parts[part] += make_segments(video_id, rows, infos[video_id], video, source,
                                     part != 'test', report)
    for part, segments in parts.items():
        report.count_clips(part, [segment.label for segment in segments], IMIGUE_CLASSES)
    return parts


def make_segments(video_id: str, label_rows: Sequence[LabelRow], info: VideoInfo, video: str,
                  source: str, labelled: bool, report: Report) -> list[Segment]:
    """Segments of one video, their ranges clamped to it.

    A labelled clip whose range or class makes no sense is dropped. In the test part it is kept
    with the nearest valid range and the label -1, as the leaderboard wants an answer for every
    clip. All is reported under the name ``source``.
    """
    segments: list[Segment] = []
    last = info.num_frames - 1
    for row in label_rows:
        clip_id = f'{video_id}_{row.k}'
        label = label_of(row.code) if labelled else -1
        error = _error(row, label, info.num_frames)
        if labelled and (error or label is None):
            report.add('clips dropped', source, f'{clip_id}: {error}')
            continue
        start, end = row.frames or (0, last)
        first = min(max(start, 0), last)
        final = min(max(end, first), last)
        if error:
            report.add('test clips kept with another range', source, f'{clip_id}: {error}; {first}.'
                       f'.{final} is used, as every test clip needs an answer')
        elif (first, final) != (start, end):
            report.add('clips clamped', source, f'{clip_id}: {start}..{end} to {first}..{final}, '
                       f'the video has {info.num_frames} frames')
        segments.append(Segment(clip_id, video, first, final, -1 if label is None else label))
    return segments


def _error(row: LabelRow, label: int | None, num_frames: int) -> str:
    if row.frames is None:
        return row.error
    start, end = row.frames
    if label is None:
        return f'class {row.code!r} is not one of 1..31 and 99'
    if end < start:
        return f'ends at frame {end}, before its start {start}'
    if start >= num_frames:
        return f'starts at frame {start}, the video has {num_frames}'
    return f'ends at frame {end}' if end < 0 else ''


def make_splits(parts: Splits, layout: Layout, infos: dict[str, VideoInfo],
                licensed: LicensedTable, report: Report) -> Splits:
    """The parts, ``trainval``, and ``holdout_*`` and ``xsub_*`` where they are possible."""
    subjects = licensed.subjects
    splits = dict(parts, trainval=parts['train'] + parts['val'])
    splits |= hold_out(splits['trainval'], subjects)
    if 'holdout_val' in splits:
        report.splits['holdout_train, holdout_val'] = (
            f'{len(splits["holdout_train"])} and {len(splits["holdout_val"])} clips of train and '
            f'validation part; no {"subject" if subjects else "video"} is in both')
    if subjects:
        segments: list[Segment] = []
        for video_id in sorted(infos.keys() & subjects.keys()):
            video = layout.name(layout.videos[video_id])
            # deviations are in the report already, for the parts
            segments += make_segments(video_id, licensed.rows[video_id], infos[video_id], video,
                                      video, True, Report())
        splits |= dict(xsub_train=[], xsub_test=[])
        for segment in _agreeing(segments, parts, report):
            known = subjects[video_id_of(segment)] in TRAIN_SUBJECTS
            splits['xsub_train' if known else 'xsub_test'].append(segment)
        report.splits['xsub_train, xsub_test'] = (
            f'{len(splits["xsub_train"])} and {len(splits["xsub_test"])} clips (published: 13936 '
            'and 4563), the cross-subject protocol')
        unknown = sorted(set(infos) - set(subjects))
        if unknown:
            report.add('videos without a subject', 'subjects',
                       f'{len(unknown)} videos are in no cross-subject split: {", ".join(unknown)}')
    return splits


def hold_out(segments: Sequence[Segment], subjects: dict[str, int]) -> Splits:
    """``holdout_train`` and ``holdout_val``, as of :func:`split_groups`, with nobody in both.

    Videos without a subject take the place of subjects, although one person may be seen in several.
    """
    videos = map(video_id_of, segments)
    groups = [str(subjects.get(video_id, f'video {video_id}')) for video_id in videos]
    parts = split_groups(groups, [segment.label for segment in segments])
    return {part: [segments[k] for k in chosen] for part, chosen in parts.items()}


def split_groups(groups: Sequence[str], labels: Sequence[int]) -> dict[str, np.ndarray]:
    """Numbers of the clips of ``holdout_train`` and ``holdout_val``, by group and label of each.

    Nine to one, no group in both, and similar class frequencies. Empty with fewer than two groups,
    or if no class has two clips.
    """
    num_folds = min(HOLDOUT_FOLDS, len(set(groups)), max(Counter(labels).values(), default=0))
    if num_folds < 2:
        return {}
    folds = StratifiedGroupKFold(num_folds, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        # rare classes have fewer clips than there are folds: that is iMiGUE
        warnings.simplefilter('ignore', UserWarning)
        return dict(zip(('holdout_train', 'holdout_val'), next(
            folds.split(labels, labels, groups))))


def video_id_of(segment: Segment) -> str:
    return segment.clip_id.rpartition('_')[0]


def _agreeing(segments: list[Segment], parts: Splits, report: Report) -> list[Segment]:
    """Segments of the table, without those whose clip id means another clip in a label file."""
    own = {segment.clip_id: segment for part in parts.values() for segment in part}
    agreeing = []
    for segment in segments:
        clip_id, video, start, end, label = segment
        other = own.get(clip_id, segment)
        if other[2:4] == (start, end) and other.label in (label, -1):
            agreeing.append(segment)
        else:
            report.add('clips that the table has otherwise', video,
                       f'{clip_id}: {start}..{end}, label {label}, but {other.start_frame}..'
                       f'{other.end_frame}, label {other.label} in the label file; in no '
                       'cross-subject split')
    return agreeing

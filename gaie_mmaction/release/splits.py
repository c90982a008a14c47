"""Splits made of the parts: train and validation together, held-out people, cross-subject."""
import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from ..datasets.annotations import Segment
from .labels import LicensedTable
from .layout import Layout
from .report import Report
from .segments import make_segments
from .video_info import VideoInfo

# of the paper's cross-subject protocol; the others of 1..72 are for testing
TRAIN_SUBJECTS = frozenset((2, 4, 5, 6, 9, 10, 12, 13, 14, 15, 17, 18, 20, 21, 22, 23, 25, 28, 29,
                            30, 31, 35, 36, 38, 39, 41, 42, 43, 44, 46, 47, 48, 52, 53, 59, 61, 62))
HOLDOUT_FOLDS = 10

Splits = dict[str, list[Segment]]


def make_splits(parts: Splits, layout: Layout, infos: dict[str, VideoInfo],
                licensed: LicensedTable | None, report: Report) -> Splits:
    """The parts, ``trainval``, and ``holdout_*`` and ``xsub_*`` where they are possible."""
    splits = dict(parts, trainval=parts['train'] + parts['val'])
    subjects = licensed.subjects if licensed else {}
    splits.update(hold_out(splits['trainval'], subjects))
    if 'holdout_val' in splits:
        report.splits['holdout_train, holdout_val'] = (
            f'{len(splits["holdout_train"])} and {len(splits["holdout_val"])} clips of train and '
            f'validation part; no {"subject" if subjects else "video"} is in both')
    if licensed and subjects:
        segments: list[Segment] = []
        for video_id in sorted(infos.keys() & subjects.keys()):
            video = layout.name(layout.videos[video_id])
            # deviations are in the report already, for the parts
            segments += make_segments(video_id, licensed.rows[video_id], infos[video_id], video,
                                      video, True, Report())
        split: Splits = dict(xsub_train=[], xsub_test=[])
        for segment in _agreeing(segments, parts, report):
            known = subjects[video_id_of(segment)] in TRAIN_SUBJECTS
            split['xsub_train' if known else 'xsub_test'].append(segment)
        splits |= split
        report.splits['xsub_train, xsub_test'] = (
            f'{len(splits["xsub_train"])} and {len(splits["xsub_test"])} clips (published: 13936 '
            'and 4563), the cross-subject protocol')
        unknown = sorted(set(infos) - set(subjects))
        if unknown:
            report.add('videos without a subject', 'subjects',
                       f'{len(unknown)} videos are in no cross-subject split: {", ".join(unknown)}')
    return splits


def hold_out(segments: Sequence[Segment], subjects: dict[str, int]) -> Splits:
    """``holdout_train`` and ``holdout_val``, about a tenth of the clips, with nobody in both.

    Class frequencies are similar. Videos without a subject take the place of subjects, although
    one person may be seen in several. Empty with fewer than two subjects (or videos), or if no
    class has two clips.
    """
    videos = [video_id_of(segment) for segment in segments]
    groups = [str(subjects.get(video_id, f'video {video_id}')) for video_id in videos]
    labels = [segment.label for segment in segments]
    most = max(Counter(labels).values(), default=0)
    num_folds = min(HOLDOUT_FOLDS, len(set(groups)), most)
    if num_folds < 2:
        return {}
    folds = StratifiedGroupKFold(num_folds, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        # rare classes have fewer clips than there are folds: that is iMiGUE
        warnings.simplefilter('ignore', UserWarning)
        train, val = next(folds.split(np.zeros(len(segments)), labels, groups))
    return dict(holdout_train=[segments[k] for k in train],
                holdout_val=[segments[k] for k in val])


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

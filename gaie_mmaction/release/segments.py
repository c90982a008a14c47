"""Rows of the annotation files, the splits made of them, and the skeletons of clips."""
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from .examination import Facts, load_skeleton
from .labels import LabelRow, label_of
from .report import Report

# of the paper's cross-subject protocol; the others of 1..72 are for testing
TRAIN_SUBJECTS = frozenset((2, 4, 5, 6, 9, 10, 12, 13, 14, 15, 17, 18, 20, 21, 22, 23, 25, 28, 29,
                            30, 31, 35, 36, 38, 39, 41, 42, 43, 44, 46, 47, 48, 52, 53, 59, 61, 62))
HOLDOUT_FOLDS = 10
# of clip id, video, start_frame, end_frame, label
Row = tuple[str, str, int, int, int]


def make_rows(video_id: str, label_rows: Sequence[LabelRow], facts: Facts, video: str,
              label_file: object, labelled: bool, report: Report) -> list[Row]:
    """Rows of the segment csv for one video.

    Ranges are clamped to the video. A clip whose range or class makes no sense is
    dropped where it is labelled. In the test part it is kept with the nearest range that
    exists, as the leaderboard wants an answer for every clip. All is listed.

    Args:
        video_id (str): Clip k is ``<VID>_<k>``.
        label_rows (Sequence[LabelRow]): Of the label file.
        facts (Facts): Of the video.
        video (str): Path that goes into the csv.
        label_file (object): How the report calls the label file.
        labelled (bool): Whether the classes mean something.
        report (Report): Gets what was clamped or dropped.

    Returns:
        list[tuple]: ``clip_id, video, start_frame, end_frame, label`` each.
    """
    rows: list[Row] = []
    last = facts.num_frames - 1
    for row in label_rows:
        clip_id = f'{video_id}_{row.k}'
        label = label_of(row.code) if labelled else -1
        fault = _fault(row, label, facts.num_frames)
        if fault and labelled:
            report.add('clips dropped', label_file, f'{clip_id}: {fault}')
            continue
        start, end = row.frames or (0, last)
        first = min(max(start, 0), last)
        final = min(max(end, first), last)
        if fault:
            report.add('test clips kept with another range', label_file,
                       f'{clip_id}: {fault}; {first}..{final} is used, as every test clip needs '
                       'an answer')
        elif (first, final) != (start, end):
            report.add('clips clamped', label_file,
                       f'{clip_id}: {start}..{end} to {first}..{final}, the video has '
                       f'{facts.num_frames} frames')
        # a class that is none is a fault, and such a row was dropped
        rows.append((clip_id, video, first, final, -1 if label is None else label))
    return rows


def _fault(row: LabelRow, label: int | None, num_frames: int) -> str:
    if row.frames is None:
        return row.fault
    start, end = row.frames
    if label is None:
        return f'class {row.code!r} is none of 1..31 and 99'
    if end < start:
        return f'ends at frame {end}, before its start {start}'
    if start >= num_frames:
        return f'starts at frame {start}, the video has {num_frames}'
    if end < 0:
        return f'ends at frame {end}'
    return ''


def cross_subject(rows: Sequence[Row], subjects: dict[str, int]) -> dict[str, list[Row]]:
    """The paper's split: ``xsub_train`` of 37 subjects and ``xsub_test`` of the others.

    Args:
        rows (Sequence[Row]): Labelled rows of all videos.
        subjects (dict[str, int]): Subject by video id.

    Returns:
        dict[str, list[Row]]: The rows of videos whose subject is known.
    """
    split: dict[str, list[Row]] = dict(xsub_train=[], xsub_test=[])
    for row in rows:
        subject = subjects.get(_video_id(row))
        if subject is not None:
            split['xsub_train' if subject in TRAIN_SUBJECTS else 'xsub_test'].append(row)
    return split


def hold_out(rows: Sequence[Row], subjects: dict[str, int]) -> dict[str, list[Row]]:
    """About a tenth of the clips for validation, with nobody on both sides.

    Args:
        rows (Sequence[Row]): Labelled rows of training and validation part.
        subjects (dict[str, int]): Subject by video id; where it is empty, videos take
            the place of subjects, although one person may be seen in several.

    Returns:
        dict[str, list[Row]]: ``holdout_train`` and ``holdout_val``, of like class frequencies;
        empty with fewer than two subjects (or videos), or nothing to share out.
    """
    groups = [subjects.get(_video_id(row), f'video {_video_id(row)}') for row in rows]
    groups = [str(group) for group in groups]
    labels = [row[-1] for row in rows]
    most = max(Counter(labels).values(), default=0)
    num_folds = min(HOLDOUT_FOLDS, len(set(groups)), most)
    if num_folds < 2:
        return {}
    folds = StratifiedGroupKFold(num_folds, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        # rare classes have fewer clips than there are folds: that is iMiGUE
        warnings.simplefilter('ignore', UserWarning)
        train, val = next(folds.split(np.zeros(len(rows)), labels, groups))
    return dict(holdout_train=[rows[k] for k in train], holdout_val=[rows[k] for k in val])


def _video_id(row: Row) -> str:
    return row[0].rpartition('_')[0]


def skeleton_clips(splits: dict[str, list[Row]], facts: dict[str, Facts], cache: Path) -> dict:
    """Skeletons of all clips, as MMAction2's ``PoseDataset`` reads them.

    Args:
        splits (dict[str, list[Row]]): Rows by the name of their split.
        facts (dict[str, Facts]): By video id.
        cache (Path): Where the skeletons of the videos are.

    Returns:
        dict: ``split``, clip ids by name, and ``annotations``, a dict a clip with
        ``frame_dir`` (the clip id), ``label``, ``total_frames``, ``img_shape`` and
        ``original_shape`` (H, W), ``keypoint`` ``(1, T, 22, 2)`` float32 in pixels and
        ``keypoint_score`` ``(1, T, 22)`` float32. A clip without any joint has zeros, and
        is in no split whose name ends in ``train`` or ``trainval``.
    """
    rows = {row[0]: row for name, part in splits.items() for row in part}
    by_video: dict[str, list[Row]] = {}
    for row in rows.values():
        by_video.setdefault(_video_id(row), []).append(row)
    annotations, empty = [], set()
    for video_id, clips in tqdm(sorted(by_video.items()), desc='skeletons', unit='video'):
        seen = facts[video_id]
        skeleton = load_skeleton(video_id, cache) if seen.skeleton == 'usable' else np.zeros(
            (seen.num_frames, 22, 3), np.float32)
        for clip_id, _, start, end, label in clips:
            joints = skeleton[None, start:end + 1]
            if not joints.any():
                empty.add(clip_id)
            annotations.append(
                dict(
                    frame_dir=clip_id,
                    label=label,
                    total_frames=end - start + 1,
                    img_shape=(seen.height, seen.width),
                    original_shape=(seen.height, seen.width),
                    keypoint=np.ascontiguousarray(joints[..., :2]),
                    keypoint_score=np.ascontiguousarray(joints[..., 2])))
    split = {
        name: [row[0] for row in part
               if not (name.endswith(('train', 'trainval')) and row[0] in empty)]
        for name, part in splits.items()
    }
    return dict(split=split, annotations=annotations)

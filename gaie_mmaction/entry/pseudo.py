"""Pseudo-labels: a second round of training, on the test's clips as the first round sees them."""
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets.annotations import Segment, read_annotations, write_segments
from ..datasets.imigue_pose_dataset import read_skeletons
from ..utils.files import atomic_file, write_text
from .spec import PseudoLabels

SPLIT = 'pseudo'


def choose_pseudo_labels(scores: np.ndarray, ids: list[str], rule: PseudoLabels) -> dict[str, int]:
    """Clips that the fused scores ``(N, C)`` are sure of, and their classes.

    Scores are not negative; rows are scaled to a sum of 1.
    """
    confidence = scores.max(axis=1) / scores.sum(axis=1)
    labels, chosen = scores.argmax(axis=1), {}
    left = np.full(scores.shape[1], rule.max_per_class)
    for k in np.argsort(-confidence, kind='stable'):
        if confidence[k] >= rule.min_confidence and left[labels[k]]:
            left[labels[k]] -= 1
            chosen[ids[k]] = int(labels[k])
    return chosen


def add_pseudo_labels(train: dict[str, Any], test: dict[str, Any], labels: dict[str, int],
                      folder: Path) -> None:
    """Let a training dataset read its own clips and those of ``labels``, from files in ``folder``.

    ``train`` is its config, which is changed, ``test`` that of the dataset that has the clips, from
    files of the same kind; ``labels`` are classes by clip id.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # of frames with skeletons, the split is named after the annotation file by default
    split = train.get('split') or Path(train['ann_file']).stem
    for key in ('ann_file', 'skeleton_file'):
        if key not in train:
            continue
        own, other = (os.path.join(one.get('data_root') or '', one[key]) for one in (train, test))
        path = (folder / f'{SPLIT}{os.path.splitext(own)[1]}').absolute()
        if own.endswith('.pkl'):
            # of skeletons alone, a clip without any joint cannot be trained on
            _join_skeletons(own, split, other, labels, path, with_empty=key != 'ann_file')
        else:
            _join_annotations(own, other, labels, path, _folder_from(train, test))
        train[key] = str(path)
    if 'split' in train:
        train['split'] = SPLIT


def _folder_from(train: dict[str, Any], test: dict[str, Any]) -> str:
    """Folder of the test's videos, seen from that of the training's."""
    own, other = (os.path.join(one.get('data_root') or '',
                               (one.get('data_prefix') or {}).get('video', ''))
                  for one in (train, test))
    return '' if own == other else os.path.relpath(other or '.', own or '.')


def _join_annotations(own: str, other: str, labels: dict[str, int], path: Path,
                      folder: str) -> None:
    clips = [*read_annotations(own, 2**31),
             *({**clip, 'video': os.path.join(folder, clip['video']),
                'label': labels[clip['clip_id']]}
               for clip in read_annotations(other, 2**31) if clip['clip_id'] in labels)]
    if path.suffix == '.csv':
        write_segments(path, (Segment(**clip) for clip in clips))
    else:
        write_text(path, ''.join(f'{clip["video"]} {clip["label"]}\n' for clip in clips))


def _join_skeletons(own: str, split: str, other: str, labels: dict[str, int], path: Path,
                    with_empty: bool) -> None:
    by_id, splits = read_skeletons(own)
    clips = [by_id[clip_id] for clip_id in splits[split]]
    clips += [{**clip, 'label': labels[clip_id]}
              for clip_id, clip in read_skeletons(other)[0].items()
              if clip_id in labels and (with_empty or clip['keypoint'].any())]
    with atomic_file(path) as partial:
        partial.write_bytes(pickle.dumps(dict(
            split={SPLIT: [clip['frame_dir'] for clip in clips]}, annotations=clips), protocol=4))

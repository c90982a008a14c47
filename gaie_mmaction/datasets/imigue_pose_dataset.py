"""iMiGUE's skeletons, clip by clip."""
import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from mmaction.datasets.base import BaseActionDataset
from mmaction.registry import DATASETS
from mmengine.logging import print_log

from ..utils.safe_pickle import load_pickle_safely
from .annotations import examples, video_of
from .imigue_classes import HasIMiGUEClasses
from .skeleton_layout import get_layout, hands_swapped

KEYS = ('frame_dir', 'label', 'total_frames', 'img_shape', 'keypoint', 'keypoint_score')


def read_skeletons(path: str) -> tuple[dict[str, dict], dict[str, list[str]]]:
    """Annotations by clip id, and clip ids by split, of a skeleton file.

    The pickle is read without running anything that it may hold. Another form is a ``ValueError``.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'skeleton file {path} does not exist: make it with '
                                'prepare_imigue.py or prepare_ma52.py of tools/data, or give its '
                                'path')
    content = load_pickle_safely(path)
    if not (isinstance(content, dict) and isinstance(content.get('split'), dict)
            and isinstance(content.get('annotations'), list)):
        raise ValueError(f'{path} is not a skeleton file: it must hold a dict of split and '
                         'annotations, as the tools in tools/data write it')
    by_id: dict[str, dict] = {}
    for clip in content['annotations']:
        if not isinstance(clip, dict) or (missing := set(KEYS) - set(clip)):
            lacks = sorted(missing) if isinstance(clip, dict) else f'a dict, got {type(clip)}'
            raise ValueError(f'{path}: annotation {len(by_id)} lacks {lacks}')
        if by_id.setdefault(clip['frame_dir'], clip) is not clip:
            raise ValueError(f'{path}: clip {clip["frame_dir"]} occurs twice')
    return by_id, content['split']


@DATASETS.register_module()
class IMiGUEPoseDataset(HasIMiGUEClasses, BaseActionDataset):
    """Skeletons of clips, from ``skeleton.pkl`` of a prepared release.

    The file has the form of MMAction2's ``PoseDataset``, which reads it as well; this class checks
    every clip, runs nothing that the file may hold, and warns of hands that seem to be swapped.

    A clip has ``clip_id``, ``keypoint`` ``(M, T, V, 2)`` in pixels of a frame of ``img_shape``
    (H, W), and ``keypoint_score`` ``(M, T, V)``, both float32; M persons, T frames, V joints.
    Missing joints are zeros. Clips without any joint are allowed in test mode only.

    Args:
        ann_file (str): Path of the pickle.
        split (str): Name of the split, such as ``'train'`` or ``'trainval'``; its order is kept.
        layout (str): Name of the skeleton layout. Defaults to ``'imigue'``.
        test_mode (bool): Whether for validation or test; then ``metainfo`` also holds ``ann_file``,
            the segment csv of the split, if it lies beside the skeletons. Defaults to False.
        others: Same as :class:`IMiGUEDataset`.
    """

    def __init__(self, *, ann_file: str, pipeline: list[dict | Callable], split: str,
                 layout: str = 'imigue', data_root: str = '', metainfo: dict | None = None,
                 test_mode: bool = False, indices: int | Sequence[int] | None = None,
                 serialize_data: bool = True, lazy_init: bool = False) -> None:
        self.split = split
        self.layout = layout
        self._num_joints = get_layout(layout).num_joints
        super().__init__(ann_file=ann_file, pipeline=pipeline, data_root=data_root,
                         metainfo=metainfo, test_mode=test_mode, indices=indices,
                         serialize_data=serialize_data, lazy_init=lazy_init, modality='Pose')
        segments = os.path.join(os.path.dirname(self.ann_file), f'{split}.csv')
        if test_mode and os.path.isfile(segments):  # there a metric finds all clips of the part
            self._metainfo['ann_file'] = segments

    def load_data_list(self) -> list[dict]:
        """Checked clips of the split, with ``clip_id``."""
        return self.select(*read_skeletons(self.ann_file))

    def select(self, by_id: dict[str, dict], splits: dict[str, list[str]]) -> list[dict]:
        """Checked clips of the split, from what :func:`read_skeletons` returns."""
        if self.split not in splits:
            raise ValueError(f'{self.ann_file} has no split {self.split!r}, only '
                             f'{sorted(splits)}')
        ids = splits[self.split]
        absent = [clip_id for clip_id in ids if clip_id not in by_id]
        if absent:
            raise ValueError(f'{self.ann_file}: {len(absent)} clips of the split {self.split} have '
                             f'no annotation: {examples(absent)}')
        if not ids:
            raise ValueError(f'{self.ann_file}: the split {self.split} holds no clip')
        if repeated := [clip_id for clip_id, times in Counter(ids).items() if times > 1]:
            raise ValueError(f'{self.ann_file}: {len(repeated)} clips occur more than once in the '
                             f'split {self.split}: {examples(repeated)}')
        clips = [dict(by_id[clip_id], clip_id=clip_id) for clip_id in ids]
        for clip in clips:
            self._check(clip)
            # a missing joint has no score, whatever the file says
            clip['keypoint_score'] = clip['keypoint_score'] * clip['keypoint'].any(axis=-1)
        self._check_empty(clips)
        self._check_sides(clips)
        return clips

    def _check(self, clip: dict) -> None:
        where = f'{self.ann_file}: clip {clip["clip_id"]}'
        for key in ('label', 'total_frames'):
            if not isinstance(clip[key], (int, np.integer)):
                raise ValueError(f'{where}: {key} must be an integer, but is {clip[key]!r}')
        keypoint, score, frames = clip['keypoint'], clip['keypoint_score'], clip['total_frames']
        if not (isinstance(keypoint, np.ndarray) and isinstance(score, np.ndarray)
                and keypoint.ndim == 4 and keypoint.shape[0] > 0 and frames > 0
                and (keypoint.shape[1], keypoint.shape[3]) == (frames, 2)
                and score.shape == keypoint.shape[:3]):
            shapes = [getattr(values, 'shape', type(values)) for values in (keypoint, score)]
            raise ValueError(f'{where} needs keypoint (M, T, V, 2) and keypoint_score (M, T, V) '
                             f'with T = total_frames = {frames}, but has {shapes[0]} and '
                             f'{shapes[1]}')
        if keypoint.shape[2] != self._num_joints:
            raise ValueError(f'{where} has {keypoint.shape[2]} joints, but the layout '
                             f'{self.layout!r} has {self._num_joints}: prepare the release '
                             'again, or choose another layout')
        if any(values.dtype.kind != 'f' or not np.isfinite(values).all()
               for values in (keypoint, score)):
            raise ValueError(f'{where} has values that are not finite floats: a missing joint must '
                             'be zeros')
        num_classes = len(self.metainfo['classes'])
        if not -1 <= clip['label'] < num_classes:
            raise ValueError(f'{where}: label must be in 0..{num_classes - 1}, or -1 for '
                             f'unlabelled, but got {clip["label"]}; classes of your own are set by '
                             'metainfo=dict(classes=[...])')
        sides = np.asarray(clip['img_shape'])
        if sides.shape != (2, ) or sides.dtype.kind not in 'iu' or sides.min() <= 0:
            raise ValueError(f'{where}: img_shape must be two positive integers (H, W), but is '
                             f'{clip["img_shape"]!r}')

    def _check_empty(self, clips: list[dict]) -> None:
        empty = [clip['clip_id'] for clip in clips if not clip['keypoint'].any()]
        if not empty:
            return
        found = (f'{len(empty)} of {len(clips)} clips of the split {self.split} of {self.ann_file} '
                 f'have no joint in any frame: {examples(empty)}')
        if not self.test_mode:
            raise ValueError(f'{found}. There is nothing to learn from them: leave them out of the '
                             'split, as the tools in tools/data do')
        print_log(f'{found}. Their predictions mean nothing', logger='current',
                  level=logging.WARNING)

    def _check_sides(self, clips: list[dict]) -> None:
        if self.layout != 'imigue':
            return
        videos: dict[str, list[np.ndarray]] = {}
        for clip in clips:
            videos.setdefault(video_of(clip['clip_id']), []).extend(clip['keypoint'])
        swapped = [name for name, parts in videos.items() if hands_swapped(np.concatenate(parts))]
        if swapped:
            print_log(f'{len(swapped)} of {len(videos)} videos of the split {self.split} of '
                      f'{self.ann_file} seem to have left and right hand swapped: '
                      f'{examples(swapped)}. Their left fingertips are nearer to the right '
                      'wrist', logger='current', level=logging.WARNING)

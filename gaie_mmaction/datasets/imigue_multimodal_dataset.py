"""RGB frames and skeletons of the same clips."""
import logging
import os
from collections.abc import Callable, Sequence

from mmaction.registry import DATASETS
from mmaction.utils import ConfigType
from mmengine.logging import print_log

from .annotations import examples
from .imigue_dataset import IMiGUEDataset
from .imigue_pose_dataset import IMiGUEPoseDataset, read_skeletons


@DATASETS.register_module()
class IMiGUEMultiModalDataset(IMiGUEDataset):
    """Clips with their frames, as of :class:`IMiGUEDataset`, and their skeletons.

    Use ``ClipInit``, ``MMSharedSampleFrames`` and ``MMClipDecode`` in the pipeline: one sampling
    for both. What follows (``Resize``, crops, ``SkeletonFlip``) acts on ``imgs`` and ``keypoint``.

    Both sources must hold the same clips with the same labels and lengths. Only clips without any
    joint, which a training split of the skeletons leaves out, are left out here too, with a
    warning.

    Args:
        skeleton_file (str): Path of the skeletons of ``tools/data/prepare_imigue.py``, relative to
            ``data_root``.
        split (str, optional): Split of the skeletons. Defaults to None, the stem of ``ann_file``:
            ``'train'`` for ``train.csv``.
        layout (str): Name of the skeleton layout. Defaults to ``'imigue'``.
        others: Same as :class:`IMiGUEDataset`.
    """

    def __init__(self, *, ann_file: str, pipeline: list[dict | Callable], skeleton_file: str,
                 split: str | None = None, layout: str = 'imigue',
                 data_prefix: ConfigType | None = None, data_root: str = '',
                 metainfo: dict | None = None, test_mode: bool = False, on_error: str = 'raise',
                 max_bad_share: float = 0.05, indices: int | Sequence[int] | None = None,
                 serialize_data: bool = True, lazy_init: bool = False) -> None:
        self.skeleton_file = os.path.join(data_root, skeleton_file)
        self.split = os.path.splitext(os.path.basename(ann_file))[0] if split is None else split
        self.layout = layout
        super().__init__(ann_file=ann_file, pipeline=pipeline, data_prefix=data_prefix,
                         data_root=data_root, metainfo=metainfo, test_mode=test_mode,
                         on_error=on_error, max_bad_share=max_bad_share, indices=indices,
                         serialize_data=serialize_data, lazy_init=lazy_init)
        self.modality = ['RGB', 'Pose']

    def load_data_list(self) -> list[dict]:
        """Clips of :class:`IMiGUEDataset` with the skeletons' keys (see `IMiGUEPoseDataset`)."""
        clips = super().load_data_list()
        by_id, splits = read_skeletons(self.skeleton_file)
        pose = IMiGUEPoseDataset(
            ann_file=self.skeleton_file, pipeline=[], split=self.split, layout=self.layout,
            metainfo=self.metainfo, test_mode=self.test_mode, lazy_init=True)
        skeletons = {clip['clip_id']: clip for clip in pose.select(by_id, splits)}
        empty = {clip['clip_id'] for clip in clips
                 if clip['clip_id'] not in skeletons and clip['clip_id'] in by_id
                 and not by_id[clip['clip_id']]['keypoint'].any()}
        if empty:
            print_log(f'{len(empty)} of {len(clips)} clips of {self.ann_file} have no joint in any '
                      f'frame, and the split {self.split} of {self.skeleton_file} leaves them out: '
                      f'{examples(sorted(empty))}. They are left out here too', logger='current',
                      level=logging.WARNING)
        clips = [clip for clip in clips if clip['clip_id'] not in empty]
        self._check_same_clips([clip['clip_id'] for clip in clips], skeletons)
        for clip in clips:
            skeleton = skeletons[clip['clip_id']]
            self._check_pair(clip, skeleton)
            clip.update((key, skeleton[key]) for key in ('keypoint', 'keypoint_score', 'img_shape'))
        return clips

    def _check_same_clips(self, ids: list[str], skeletons: dict[str, dict]) -> None:
        of_skeletons = f'the split {self.split} of {self.skeleton_file}'
        parts = [f'{len(missing)} clips of {here} are not in {there}: {examples(sorted(missing))}'
                 for missing, here, there in (
                     (set(ids) - set(skeletons), self.ann_file, of_skeletons),
                     (set(skeletons) - set(ids), of_skeletons, self.ann_file)) if missing]
        if parts:
            raise ValueError(f'{"; ".join(parts)}. Both must hold the same clips: prepare the '
                             'release again with tools/data/prepare_imigue.py, or set ann_file and '
                             'split to the same part')

    def _check_pair(self, clip: dict, skeleton: dict) -> None:
        clip_id = clip['clip_id']
        if clip['label'] != skeleton['label']:
            raise ValueError(f'clip {clip_id} has the label {clip["label"]} in {self.ann_file}, '
                             f'but {skeleton["label"]} in {self.skeleton_file}')
        frames = clip['end_frame'] - clip['start_frame'] + 1
        # the length of a clip that is a file of its own is known when it is opened
        if clip['end_frame'] != -1 and frames != skeleton['total_frames']:
            raise ValueError(f'clip {clip_id} has {frames} frames in {self.ann_file}, but '
                             f'{skeleton["total_frames"]} in {self.skeleton_file}')

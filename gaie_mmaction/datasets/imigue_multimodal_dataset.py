"""RGB frames and skeletons of the same clips."""
import logging
import os
from typing import Any

from mmaction.registry import DATASETS
from mmengine.logging import print_log

from .imigue_dataset import IMiGUEDataset
from .imigue_pose_dataset import IMiGUEPoseDataset, read_skeletons, some


@DATASETS.register_module()
class IMiGUEMultiModalDataset(IMiGUEDataset):
    """Clips with their frames and their skeletons.

    Frames are found as :class:`IMiGUEDataset` finds them, skeletons as
    :class:`IMiGUEPoseDataset`, and both belong to the same clip id. Use ``ClipInit``,
    ``MMSharedSampleFrames`` and ``MMClipDecode`` in the pipeline: one sampling for both. What
    follows (``Resize``, crops, ``SkeletonFlip``) acts on ``imgs`` and ``keypoint`` together.

    Both sources must hold the same clips. Only a clip without any joint, which a training
    split of the skeletons leaves out, is left out here too, with a line in the log.

    Args:
        ann_file (str): Path of the segment csv or clip list.
        skeleton_file (str): Path of the skeletons of ``tools/data/prepare_imigue.py``, from
            ``data_root``.
        split (str, optional): Split of the skeletons. Defaults to None, the name of
            ``ann_file`` without its ending: ``'train'`` for ``train.csv``.
        layout (str): Name of the joints' layout. Defaults to ``'imigue'``.
        kwargs: As of :class:`IMiGUEDataset`.

    Raises:
        FileNotFoundError: If one of the files is missing.
        ValueError: If a clip is in one source but not in the other, or has another label or
            number of frames there; or as of both datasets.
    """

    def __init__(self,
                 *,
                 ann_file: str,
                 skeleton_file: str,
                 split: str | None = None,
                 layout: str = 'imigue',
                 **kwargs: Any) -> None:
        self.skeleton_file = os.path.join(kwargs.get('data_root', ''), skeleton_file)
        self.split = os.path.splitext(os.path.basename(ann_file))[0] if split is None else split
        self.layout = layout
        super().__init__(ann_file=ann_file, **kwargs)
        self.modality = ['RGB', 'Pose']

    def load_data_list(self) -> list[dict]:
        """Read both sources and put them together.

        Returns:
            list[dict]: As of :class:`IMiGUEDataset`, with ``keypoint`` ``(M, T, V, 2)``,
            ``keypoint_score`` ``(M, T, V)`` and ``img_shape`` (H, W) of the skeleton.
        """
        clips = super().load_data_list()
        by_id, splits = read_skeletons(self.skeleton_file)
        pose = IMiGUEPoseDataset(
            ann_file=self.skeleton_file,
            pipeline=[],
            split=self.split,
            layout=self.layout,
            metainfo=self.metainfo,
            test_mode=self.test_mode,
            lazy_init=True)
        skeletons = {clip['clip_id']: clip for clip in pose.select(by_id, splits)}
        clips = self._leave_out_empty(clips, skeletons, by_id)
        self._check_same_clips([clip['clip_id'] for clip in clips], skeletons)
        for clip in clips:
            skeleton = skeletons[clip['clip_id']]
            self._check_pair(clip, skeleton)
            clip.update((key, skeleton[key]) for key in ('keypoint', 'keypoint_score', 'img_shape'))
        return clips

    def _leave_out_empty(self, clips: list[dict], skeletons: dict[str, dict],
                         by_id: dict[str, dict]) -> list[dict]:
        empty = [clip['clip_id'] for clip in clips
                 if clip['clip_id'] not in skeletons and clip['clip_id'] in by_id
                 and not by_id[clip['clip_id']]['keypoint'].any()]
        if empty:
            print_log(f'{len(empty)} of {len(clips)} clips of {self.ann_file} have no joint in any '
                      f'frame, and the split {self.split} of {self.skeleton_file} leaves them out: '
                      f'{some(empty)}. They are left out here too', logger='current',
                      level=logging.WARNING)
        return [clip for clip in clips if clip['clip_id'] not in set(empty)]

    def _check_same_clips(self, ids: list[str], skeletons: dict[str, dict]) -> None:
        without = [clip_id for clip_id in ids if clip_id not in skeletons]
        unseen = sorted(set(skeletons) - set(ids))
        parts = [f'{len(missing)} clips of {here} are not in {there}: {some(missing)}'
                 for missing, here, there in (
                     (without, self.ann_file, f'the split {self.split} of {self.skeleton_file}'),
                     (unseen, f'the split {self.split} of {self.skeleton_file}', self.ann_file))
                 if missing]
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
        # a clip that is a file of its own tells its length when it is opened
        if clip['end_frame'] != -1 and frames != skeleton['total_frames']:
            raise ValueError(f'clip {clip_id} has {frames} frames in {self.ann_file}, but '
                             f'{skeleton["total_frames"]} in {self.skeleton_file}')

"""One sampling for frames and skeletons.

Shapes: M persons, T frames, V joints. Coordinates are MMAction2's: pixel i reaches from i to i + 1,
cropping subtracts the corner, resizing multiplies, and the mirror image of x is width - x.
"""
import numpy as np
from mmaction.datasets.transforms import MMUniformSampleFrames
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from .loading import ClipDecode

ASPECT_TOLERANCE = 0.02  # the sides of a cut clip are rounded to even numbers


@TRANSFORMS.register_module()
class MMSharedSampleFrames(MMUniformSampleFrames):
    """Sample the skeleton uniformly and take every k-th of its moments as a frame.

    MMAction2's ``MMUniformSampleFrames`` draws frames and skeletons independently, so that they
    show different moments. Here frame i is the moment of skeleton ``i * k`` with
    ``k = clip_len['Pose'] / clip_len['RGB']``; there ``RGBPoseConv3D``'s lateral convolutions,
    of stride k, are centred.

    Required keys: ``total_frames``, ``start_index``, ``keypoint``. Added keys: ``Pose_inds``
    (relative to the clip), ``frame_inds`` (in the video), ``clip_len``, ``frame_interval``,
    ``num_clips``.

    Args:
        clip_len (dict): Frames of a clip by modality, ``dict(RGB=8, Pose=32)``; ``Pose`` a
            multiple of ``RGB``.
        num_clips (int): Number of views. Defaults to 1.
        test_mode (bool): The same frames each time. Defaults to False.
        seed (int): Seed of the test's frames. Defaults to 255.
    """

    def __init__(self, clip_len: dict[str, int], num_clips: int = 1, test_mode: bool = False,
                 seed: int = 255) -> None:
        if set(clip_len) != {'RGB', 'Pose'} or min(clip_len.values()) < 1 or (
                clip_len['Pose'] % clip_len['RGB']):
            raise ValueError('clip_len must be dict(RGB=..., Pose=...) with Pose a multiple of '
                             f'RGB, but got {clip_len}')
        super().__init__(clip_len, num_clips, test_mode, seed)

    def transform(self, results: dict) -> dict:
        num_frames, num_poses = results['total_frames'], results['keypoint'].shape[1]
        if num_frames != num_poses:
            raise ValueError(f'clip {results["clip_id"]} of {results["filename"]} has {num_frames} '
                             f'frames, but its skeleton has {num_poses}: prepare the release again '
                             'with tools/data/prepare_imigue.py')
        sample = self._get_test_clips if self.test_mode else self._get_train_clips
        inds = np.mod(sample(num_frames, self.clip_len['Pose']), num_frames)
        step = self.clip_len['Pose'] // self.clip_len['RGB']
        results.update(Pose_inds=inds, frame_inds=results['start_index'] + inds[::step],
                       clip_len=dict(self.clip_len), frame_interval=None, num_clips=self.num_clips)
        return results


@TRANSFORMS.register_module()
class MMClipDecode(ClipDecode):
    """Decode the sampled frames and take the skeletons of the same moments.

    Skeletons are scaled from the frame size that they were found in to the video's: cut clips are
    smaller. Keys beyond those of ``ClipDecode``: ``Pose_inds``, ``img_shape`` (H, W, of the
    skeleton), ``keypoint`` (becomes ``(M, T, V, 2)``) and ``keypoint_score`` (``(M, T, V)``),
    float32.
    """

    def transform(self, results: dict) -> dict:
        skeleton_shape, inds = results['img_shape'], results['Pose_inds']
        results = super().transform(results)
        shape = results['img_shape']
        # for x, y
        scale = np.array(shape[::-1], np.float32) / np.array(skeleton_shape[::-1], np.float32)
        if abs(scale[0] / scale[1] - 1) > ASPECT_TOLERANCE:
            raise ValueError(f'clip {results["clip_id"]} of {results["filename"]} has frames of '
                             f'{shape[0]} x {shape[1]} (H x W), but its skeleton was found in '
                             f'{skeleton_shape[0]} x {skeleton_shape[1]}: prepare the release '
                             'again with tools/data/prepare_imigue.py')
        results['keypoint'] = results['keypoint'][:, inds].astype(np.float32) * scale
        results['keypoint_score'] = results['keypoint_score'][:, inds].astype(np.float32)
        return results


@TRANSFORMS.register_module()
class MaskMissingJoints(BaseTransform):
    """Reset joints without a score to (0, 0), which means missing.

    MMAction2's crops shift missing joints as well: put it after the last crop.
    """

    def transform(self, results: dict) -> dict:
        results['keypoint'] = results['keypoint'] * (results['keypoint_score'] > 0)[..., None]
        return results

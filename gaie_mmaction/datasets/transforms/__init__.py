"""Data transforms."""
from .clip import RepeatAugment, SubtractClipMean
from .loading import ClipDecode, ClipInit
from .multimodal import MaskMissingJoints, MMClipDecode, MMSharedSampleFrames
from .sequence import JointMotion, RandomJointTransform, RandomTimeScale, SequenceCrop
from .skeleton import (
    FillMissingJoints,
    SkeletonCompact,
    SkeletonFlip,
    SkeletonHeatmap,
    SkeletonStream,
)
from .skeleton_augment import SkeletonJitter, SkeletonResample
from .taylor import TaylorFrames, taylor_frames
from .views import ViewCrop

__all__ = [
    'ClipDecode', 'ClipInit', 'FillMissingJoints', 'JointMotion', 'MMClipDecode',
    'MMSharedSampleFrames', 'MaskMissingJoints', 'RandomJointTransform', 'RandomTimeScale',
    'RepeatAugment', 'SequenceCrop', 'SkeletonCompact', 'SkeletonFlip', 'SkeletonHeatmap',
    'SkeletonJitter', 'SkeletonResample', 'SkeletonStream', 'SubtractClipMean', 'TaylorFrames',
    'ViewCrop', 'taylor_frames'
]

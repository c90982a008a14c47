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

__all__ = [
    'ClipDecode', 'ClipInit', 'FillMissingJoints', 'JointMotion', 'MMClipDecode',
    'MMSharedSampleFrames', 'MaskMissingJoints', 'RandomJointTransform', 'RandomTimeScale',
    'RepeatAugment', 'SequenceCrop', 'SkeletonCompact', 'SkeletonFlip', 'SkeletonHeatmap',
    'SkeletonStream', 'SubtractClipMean'
]

"""Data transforms."""
from .clip import RepeatAugment, SubtractClipMean
from .loading import ClipDecode, ClipInit
from .multimodal import MaskMissingJoints, MMClipDecode, MMSharedSampleFrames
from .skeleton import (
    FillMissingJoints,
    SkeletonCompact,
    SkeletonFlip,
    SkeletonHeatmap,
    SkeletonStream,
)
from .skeleton_augment import SkeletonJitter, SkeletonResample

__all__ = [
    'ClipDecode', 'ClipInit', 'FillMissingJoints', 'MMClipDecode', 'MMSharedSampleFrames',
    'MaskMissingJoints', 'RepeatAugment', 'SkeletonCompact', 'SkeletonFlip', 'SkeletonHeatmap',
    'SkeletonJitter', 'SkeletonResample', 'SkeletonStream', 'SubtractClipMean'
]

"""Data transforms."""
from .loading import ClipDecode, ClipInit
from .multimodal import MaskMissingJoints, MMClipDecode, MMSharedSampleFrames
from .repeat_augment import RepeatAugment
from .skeleton import (
    FillMissingJoints,
    SkeletonCompact,
    SkeletonFlip,
    SkeletonHeatmap,
    SkeletonStream,
)
from .static_background import SubtractClipMean

__all__ = [
    'ClipDecode', 'ClipInit', 'FillMissingJoints', 'MMClipDecode', 'MMSharedSampleFrames',
    'MaskMissingJoints', 'RepeatAugment', 'SkeletonCompact', 'SkeletonFlip', 'SkeletonHeatmap',
    'SkeletonStream', 'SubtractClipMean'
]

"""Data transforms."""
from .loading import ClipDecode, ClipInit
from .repeat_augment import RepeatAugment
from .static_background import SubtractClipMean

__all__ = ['ClipDecode', 'ClipInit', 'RepeatAugment', 'SubtractClipMean']

"""Data transforms."""
from .loading import ClipDecode, ClipInit, VideoReadError
from .repeat_augment import RepeatAugment
from .static_background import SubtractClipMean

__all__ = ['ClipDecode', 'ClipInit', 'RepeatAugment', 'SubtractClipMean', 'VideoReadError']

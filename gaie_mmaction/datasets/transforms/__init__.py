"""Data transforms."""
from .loading import ClipDecode, ClipInit, VideoReadError
from .static_background import SubtractClipMean

__all__ = ['ClipDecode', 'ClipInit', 'SubtractClipMean', 'VideoReadError']

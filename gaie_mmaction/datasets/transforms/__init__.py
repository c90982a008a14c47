"""Data transforms."""
from .loading import ClipDecordDecode, ClipDecordInit, VideoReadError
from .static_background import SubtractClipMean

__all__ = ['ClipDecordDecode', 'ClipDecordInit', 'SubtractClipMean', 'VideoReadError']

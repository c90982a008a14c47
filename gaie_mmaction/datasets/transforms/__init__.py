"""Data transforms."""
from .loading import ClipDecode, ClipInit
from .static_background import SubtractClipMean

__all__ = ['ClipDecode', 'ClipInit', 'SubtractClipMean']

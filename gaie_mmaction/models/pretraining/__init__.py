"""Masked pretraining."""
from .masked_video_model import MaskedVideoModel

__all__ = ['MaskedVideoModel']

"""Masked pretraining."""
from .masked_motion_model import MaskedMotionModel
from .masked_video_model import MaskedVideoModel

__all__ = ['MaskedMotionModel', 'MaskedVideoModel']

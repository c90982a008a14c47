"""Datasets and data transforms."""
from .imigue_classes import IMIGUE_CLASSES, IMIGUE_CODES
from .imigue_dataset import IMiGUEDataset
from .transforms import *  # noqa: F401,F403
from .video_file import VideoFile, VideoReadError

__all__ = ['IMIGUE_CLASSES', 'IMIGUE_CODES', 'IMiGUEDataset', 'VideoFile', 'VideoReadError']

"""Datasets and data transforms."""
from .group_sampler import DataGroupSampler
from .imigue_classes import IMIGUE_CLASSES, IMIGUE_CODES
from .imigue_dataset import IMiGUEDataset
from .imigue_multimodal_dataset import IMiGUEMultiModalDataset
from .imigue_pose_dataset import IMiGUEPoseDataset
from .skeleton_layout import SKELETON_LAYOUTS, SkeletonLayout
from .transforms import *  # noqa: F401,F403
from .video_file import VideoFile, VideoReadError

__all__ = [
    'DataGroupSampler', 'IMIGUE_CLASSES', 'IMIGUE_CODES', 'IMiGUEDataset',
    'IMiGUEMultiModalDataset', 'IMiGUEPoseDataset', 'SKELETON_LAYOUTS', 'SkeletonLayout',
    'VideoFile', 'VideoReadError'
]

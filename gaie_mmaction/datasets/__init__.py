"""Datasets and data transforms."""
from . import ma52_layout, openpose_layout  # noqa: F401  # add their layouts to the table
from .dataset_info import get_dataset_info, register_dataset_info
from .feature_sequences import FeatureSequenceDataset, read_feature_file
from .group_sampler import ClassBalancedSampler, DataGroupSampler
from .imigue_classes import IMIGUE_CLASSES, IMIGUE_CODES
from .imigue_dataset import IMiGUEDataset
from .imigue_multimodal_dataset import IMiGUEMultiModalDataset
from .imigue_pose_dataset import IMiGUEPoseDataset
from .joined_sequences import JoinedSequenceDataset
from .ma52_classes import MA52_ACTIONS
from .skeleton_layout import SKELETON_LAYOUTS, SkeletonLayout
from .smg_classes import SMG_CODES
from .transforms import *  # noqa: F401,F403
from .video_file import VideoFile, VideoReadError

__all__ = [
    'ClassBalancedSampler', 'DataGroupSampler', 'FeatureSequenceDataset', 'IMIGUE_CLASSES',
    'IMIGUE_CODES', 'IMiGUEDataset', 'IMiGUEMultiModalDataset', 'IMiGUEPoseDataset',
    'JoinedSequenceDataset', 'MA52_ACTIONS', 'SKELETON_LAYOUTS', 'SMG_CODES', 'SkeletonLayout',
    'VideoFile', 'VideoReadError', 'get_dataset_info', 'read_feature_file', 'register_dataset_info'
]

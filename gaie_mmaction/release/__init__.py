"""Read a release of iMiGUE as it is given out; what deviates goes into one :class:`Report`.

:mod:`archives` (zips to files) -> :mod:`layout` (files by video id) -> :mod:`video_info` (videos
and skeletons) -> :mod:`splits` (rows of annotation files) -> :mod:`prepare` -> :mod:`cutting`.
"""
from .prepare import prepare
from .report import Deviation, ReleaseError, Report
from .video_info import VideoInfo, probe

__all__ = ['Deviation', 'ReleaseError', 'Report', 'VideoInfo', 'prepare', 'probe']

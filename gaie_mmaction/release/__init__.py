"""Read a release of iMiGUE as it is given out.

Data flows one way: :mod:`archives` (zips to files) -> :mod:`layout` (files by video id) ->
:mod:`video_info` (what a video and its skeleton hold) -> :mod:`segments` (rows of the annotation
files) -> :mod:`splits` -> :mod:`outputs` -> :mod:`cutting` (short clips). Whatever deviates goes
into one :class:`Report`.
"""
from .prepare import prepare
from .report import Deviation, ReleaseError, Report
from .video_info import VideoInfo, probe

__all__ = ['Deviation', 'ReleaseError', 'Report', 'VideoInfo', 'prepare', 'probe']

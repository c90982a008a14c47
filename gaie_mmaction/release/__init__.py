"""Reading a release of iMiGUE as it is given out.

Data flows one way: :mod:`archives` (zips to files) -> :mod:`layout` (files to
labels, videos and skeletons by video id) -> :mod:`examination` (what a video and its skeleton
hold) -> :mod:`segments` (rows of the annotation files) -> :mod:`cutting` (short clips).
Whatever deviates goes into one :class:`~gaie_mmaction.release.report.Report`.
"""

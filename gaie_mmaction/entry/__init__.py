"""An entry to the leaderboard, from one file: train, test, fuse, check, report.

:mod:`spec` (the file) -> :mod:`network` (configs and folders) -> :mod:`run` (training and scores)
-> :mod:`fit` (weights, confidence) -> :mod:`report` -> :mod:`make`.
"""
from .make import describe_entry, run_entry
from .spec import Entry, Stream, load_entry

__all__ = ['Entry', 'Stream', 'describe_entry', 'load_entry', 'run_entry']

"""Metrics and leaderboard files; late fusion is in :mod:`.fusion`."""
from .class_report import accuracy, draw_confusion_matrix, write_class_report
from .miga_submission import MiGASubmission
from .submission_check import check_submission
from .submission_file import write_submission

__all__ = [
    'MiGASubmission', 'accuracy', 'check_submission', 'draw_confusion_matrix',
    'write_class_report', 'write_submission'
]

"""Metrics and leaderboard files; late fusion is in :mod:`.fusion`."""
from .class_report import accuracy, draw_confusion_matrix, write_class_report
from .micro_action import MicroActionF1, micro_action_f1
from .miga_submission import MiGASubmission
from .spotting import best_threshold, f1_curve, f1_per_class, mean_average_precision, spotting_f1
from .spotting_metric import SpottingF1
from .submission_check import check_submission
from .submission_file import write_submission

__all__ = [
    'MiGASubmission', 'MicroActionF1', 'SpottingF1', 'accuracy', 'best_threshold',
    'check_submission', 'draw_confusion_matrix', 'f1_curve', 'f1_per_class',
    'mean_average_precision', 'micro_action_f1', 'spotting_f1', 'write_class_report',
    'write_submission'
]

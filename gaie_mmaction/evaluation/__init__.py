"""Metrics."""
from .class_report import draw_confusion_matrix, write_class_report
from .fusion import fit_temperature, fuse, match, read_dump, search_weights, to_probabilities
from .miga_submission import MiGASubmission, accuracy
from .submission_check import check_submission
from .submission_file import write_submission

__all__ = [
    'MiGASubmission', 'accuracy', 'check_submission', 'draw_confusion_matrix', 'fit_temperature',
    'fuse', 'match', 'read_dump', 'search_weights', 'to_probabilities', 'write_class_report',
    'write_submission'
]

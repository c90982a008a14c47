"""Metrics."""
from .miga_submission import MiGASubmission, accuracy, write_submission

__all__ = ['MiGASubmission', 'accuracy', 'write_submission']

"""A synthetic dataset in iMiGUE's layout: drawn people who make small gestures."""
from .release import CAUTION, make_release

__all__ = ['CAUTION', 'make_release']

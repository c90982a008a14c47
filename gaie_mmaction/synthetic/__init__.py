"""A synthetic dataset in iMiGUE's layout: drawn people who make small gestures."""
from .release import make_release

__all__ = ['make_release']

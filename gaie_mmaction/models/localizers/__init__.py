"""Detectors of gestures in untrimmed video."""
from .temporal_detector import TemporalDetector

__all__ = ['TemporalDetector']

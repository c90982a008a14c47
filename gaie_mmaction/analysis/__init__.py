"""Counting what a model costs."""
from .complexity import Complexity, build_recognizer, measure_complexity
from .latency import measure_latency

__all__ = ['Complexity', 'build_recognizer', 'measure_complexity', 'measure_latency']

"""Counting, timing and comparing models."""
from .ablation import run_arm
from .accuracy import TestPart, load_weights, measure_accuracy, read_test_part
from .comparison import (
    Conditions,
    Entry,
    comparison_table,
    different_names,
    explanations,
    measure,
    published_tables,
)
from .complexity import Complexity, build_recognizer, input_shape, measure_complexity, view_shape
from .latency import Timing, time_in_turn
from .memory import peak_memory
from .steps import inference_step, training_step
from .tradeoff_plot import draw_tradeoff

__all__ = [
    'Complexity', 'Conditions', 'Entry', 'TestPart', 'Timing', 'build_recognizer',
    'comparison_table', 'different_names', 'draw_tradeoff', 'explanations', 'inference_step',
    'input_shape', 'load_weights', 'measure', 'measure_accuracy', 'measure_complexity',
    'peak_memory', 'published_tables', 'read_test_part', 'run_arm', 'time_in_turn',
    'training_step', 'view_shape'
]

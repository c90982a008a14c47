"""Counting, timing and comparing models."""
from ..apis.model import build_recognizer, load_weights, view_shape
from .ablation import run_arm
from .accuracy import TestPart, measure_accuracy, read_test_part
from .breakdown import break_down, breakdown_table
from .comparison import (
    Conditions,
    Entry,
    comparison_table,
    different_names,
    explanations,
    measure,
    published_tables,
)
from .complexity import Complexity, input_shape, measure_complexity
from .latency import Timing, time_in_turn
from .memory import peak_memory
from .steps import inference_step, training_step
from .sweep import all_points, draw_sweep, growth_exponents, sweep, sweep_table
from .tradeoff_plot import draw_tradeoff

__all__ = [
    'Complexity', 'Conditions', 'Entry', 'TestPart', 'Timing', 'all_points', 'break_down',
    'breakdown_table', 'build_recognizer', 'comparison_table', 'different_names', 'draw_sweep',
    'draw_tradeoff', 'explanations', 'growth_exponents', 'inference_step', 'input_shape',
    'load_weights', 'measure', 'measure_accuracy', 'measure_complexity', 'peak_memory',
    'published_tables', 'read_test_part', 'run_arm', 'sweep', 'sweep_table', 'time_in_turn',
    'training_step', 'view_shape'
]

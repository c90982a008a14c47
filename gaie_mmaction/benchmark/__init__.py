"""Counting, timing and comparing models."""
from .accuracy import measure_accuracy, read_test_part
from .breakdown import break_down, break_down_models
from .comparison import (
    DTYPES,
    Conditions,
    Point,
    Result,
    build_model,
    compare,
    sweep,
    unique_names,
)
from .complexity import Complexity, input_shape, measure_complexity
from .latency import Timing, time_interleaved
from .memory import peak_memory
from .plots import draw_sweep, draw_tradeoff
from .published import published_tables
from .report import (
    TRAINED,
    comparison_table,
    growth_exponents,
    table_notes,
    write_breakdown,
    write_comparison,
)
from .steps import inference_step, training_step
from .tables import print_table, to_markdown, write_csv

__all__ = [
    'DTYPES', 'TRAINED', 'Complexity', 'Conditions', 'Point', 'Result', 'Timing', 'break_down',
    'break_down_models', 'build_model', 'compare', 'comparison_table', 'draw_sweep',
    'draw_tradeoff', 'growth_exponents', 'inference_step', 'input_shape', 'measure_accuracy',
    'measure_complexity', 'peak_memory', 'print_table', 'published_tables', 'read_test_part',
    'sweep', 'table_notes', 'time_interleaved', 'to_markdown', 'training_step', 'unique_names',
    'write_breakdown', 'write_comparison', 'write_csv'
]

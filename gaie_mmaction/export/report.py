"""Tables of how exported files compare with PyTorch."""
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..benchmark.latency import time_in_turn
from ..benchmark.text_table import TextTable
from .formats import FORMATS
from .traceable import reference_outputs
from .verification import compare


def verify_files(model: nn.Module, paths: dict[str, Path], frames: np.ndarray,
                 tolerance: float = 1e-4) -> tuple[TextTable, bool]:
    """Compare exported files, by key of :data:`FORMATS`, with PyTorch in float32.

    Returns:
        tuple: A row per file, and whether none differs by more than ``tolerance``, or by more
        than its lower precision explains.
    """
    expected, rows = reference_outputs(model, frames), []
    for name, path in paths.items():
        found = compare(expected, FORMATS[name].load(path)(frames))
        verdict = 'agrees' if FORMATS[name].lower_precision is None else 'lower precision'
        rows.append((
            name, f'{found.max_error:.1e}', f'{found.scale:.2f}',
            ' '.join(f'{100 * share:.2f}' for share in found.kept_agreement) or '-',
            'yes' if found.same_top1 else 'no',
            verdict if FORMATS[name].accepts(found, tolerance) else 'DIFFERS'))
    words = ('format', 'same kept tokens %', 'same top-1', 'verdict')
    columns = ('format', 'max difference', 'max score', *words[1:])
    table = TextTable(
        f'Against PyTorch in float32, tolerance {tolerance:g}', columns, rows, words)
    return table, not any('DIFFERS' in row for row in rows)


def time_files(model: nn.Module, paths: dict[str, Path], frames: np.ndarray,
               rounds: int = 7) -> TextTable:
    """Time PyTorch and exported files on the CPU, interleaved."""
    steps: dict[str, Callable[[], object]] = {
        'PyTorch': lambda: reference_outputs(model, frames)}
    for name, path in paths.items():
        steps[name] = functools.partial(FORMATS[name].load(path), frames)
    timings = time_in_turn(steps, torch.device('cpu'), rounds=rounds)
    rows = [(name, f'{1e3 * timing.median:.1f}',
             f'{1e3 * (timing.quartiles[1] - timing.quartiles[0]):.1f}',
             f'{timing.speed_over(timings["PyTorch"]):.2f}x') for name, timing in timings.items()]
    return TextTable(
        f'CPU, {torch.get_num_threads()} threads, batch {len(frames)}, medians of {rounds} '
        'interleaved rounds', ('format', 'ms', 'IQR ms', 'speed'), rows, ('format', ))

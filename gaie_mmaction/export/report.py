"""Tables of how exported files compare with PyTorch."""
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from ..benchmark.latency import time_interleaved
from .formats import FORMATS
from .traceable import reference_outputs
from .verification import compare


def verify_files(model: nn.Module, paths: dict[str, Path], frames: np.ndarray,
                 tolerance: float = 1e-4) -> tuple[pd.DataFrame, bool]:
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
    table = pd.DataFrame(rows, columns=['format', 'max difference', 'max score',
                                        'same kept tokens %', 'same top-1', 'verdict'])
    return table, not any('DIFFERS' in row for row in rows)


def time_files(model: nn.Module, paths: dict[str, Path], frames: np.ndarray,
               rounds: int = 7) -> pd.DataFrame:
    """Time PyTorch and exported files on the CPU, interleaved."""
    steps: dict[str, Callable[[], object]] = {
        'PyTorch': lambda: reference_outputs(model, frames)}
    for name, path in paths.items():
        steps[name] = functools.partial(FORMATS[name].load(path), frames)
    timings = time_interleaved(steps, torch.device('cpu'), rounds=rounds)
    rows = [(name, f'{1e3 * timing.median:.1f}',
             f'{1e3 * (timing.quartiles[1] - timing.quartiles[0]):.1f}',
             f'{timing.speed_over(timings["PyTorch"]):.2f}x') for name, timing in timings.items()]
    return pd.DataFrame(rows, columns=['format', 'ms', 'IQR ms', 'speed'])

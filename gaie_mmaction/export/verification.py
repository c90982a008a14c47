"""Comparing exported files with PyTorch: values and time."""
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from ..benchmark.latency import time_interleaved
from .formats import FORMATS
from .traceable import reference_outputs


@dataclass(frozen=True)
class Comparison:
    """Outputs of an exported recognizer against PyTorch's; scores are before the softmax."""
    max_error: float  # largest absolute difference of a score
    scale: float  # PyTorch's largest absolute score
    same_top1: bool  # in every clip
    kept_agreement: tuple[float, ...]  # per merge, share of kept tokens that both keep

    def within(self, tolerance: float, lower_precision: float | None = None) -> bool:
        """Whether no score differs by more than ``tolerance`` and the kept tokens are the same.

        Of a format with ``lower_precision``, only the scores count, against that share of
        ``scale``.
        """
        if lower_precision is not None:
            return self.max_error <= lower_precision * self.scale
        return self.max_error <= tolerance and all(share == 1 for share in self.kept_agreement)


def compare(expected: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> Comparison:
    """Compare outputs: scores ``(B, classes)``, then kept indices ``(B, K)`` of each merge.

    A difference of nan counts as infinite.
    """
    error = np.abs(expected[0].astype(np.float64) - found[0]).max()
    shares = [float(np.mean([np.isin(row, other).mean() for row, other in zip(one, two)]))
              for one, two in zip(expected[1:], found[1:], strict=True)]
    return Comparison(
        max_error=float('inf') if np.isnan(error) else float(error),
        scale=float(np.abs(expected[0]).max()),
        same_top1=bool((expected[0].argmax(1) == found[0].argmax(1)).all()),
        kept_agreement=tuple(shares))


def sample_frames(shape: Sequence[int], seed: int = 0) -> np.ndarray:
    """Random, smooth frames ``(B, 3, T, H, W)`` float32, whole numbers in [0, 255]."""
    noise = np.random.default_rng(seed).normal(size=tuple(shape)).astype(np.float32)
    smooth = gaussian_filter(noise, sigma=(0, 0, 1, 6, 6)) + .3 * gaussian_filter(
        noise[:, ::-1], sigma=(0, 0, 1, 1.5, 1.5))
    low, high = np.percentile(smooth, (1, 99))
    return (255 * (smooth - low) / (high - low)).clip(0, 255).round().astype(np.float32)


def verify_files(model: nn.Module, paths: dict[str, Path], frames: np.ndarray,
                 tolerance: float = 1e-4) -> tuple[pd.DataFrame, bool]:
    """Compare exported files, by key of :data:`FORMATS`, with PyTorch in float32.

    Returns one row per file, and whether none differs by more than ``tolerance`` or its lower
    precision explains.
    """
    expected, rows = reference_outputs(model, frames), []
    for name, path in paths.items():
        found = compare(expected, FORMATS[name].load(path)(frames))
        limit = FORMATS[name].lower_precision
        verdict = 'agrees' if limit is None else 'lower precision'
        rows.append((
            name, f'{found.max_error:.1e}', f'{found.scale:.2f}',
            ' '.join(f'{100 * share:.2f}' for share in found.kept_agreement) or '-',
            'yes' if found.same_top1 else 'no',
            verdict if found.within(tolerance, limit) else 'DIFFERS'))
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

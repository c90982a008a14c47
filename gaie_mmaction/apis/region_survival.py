"""How many tokens of a known region stay in their own place: does the importance find the gesture?

Shapes: M merges, (T', H', W') the grid of tokens.
"""
import copy
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mmengine.config import Config
from rich.progress import track
from scipy.stats import bootstrap

from ..utils.files import atomic_file
from ..visualization.overlay import Box
from .recognition import Clip, ClipRecognizer, open_clip

Region = tuple[float, float, float, float]
COLUMNS = ['clip_id', 'x0', 'y0', 'x1', 'y1']


def read_regions(path: str) -> dict[str, Region]:
    """Left, top, right and bottom by clip id, pixels of the video, right and bottom exclusive."""
    table = pd.read_csv(path, dtype=str, encoding='utf-8-sig', index_col=False)
    if list(table) != COLUMNS:
        raise ValueError(f'{path} must have the header {",".join(COLUMNS)}, but it has '
                         f'{",".join(table)!r}')
    boxes = table[COLUMNS[1:]].apply(pd.to_numeric, errors='coerce')
    wrong = ~((boxes.x0 < boxes.x1) & (boxes.y0 < boxes.y1))
    if wrong.any():
        raise ValueError(f'{path}, line {wrong.idxmax() + 2}: needs numbers with x0 < x1 and '
                         f'y0 < y1, but got {table.loc[wrong.idxmax()].tolist()}')
    if (again := table.clip_id.duplicated()).any():
        raise ValueError(f'{path}, line {again.idxmax() + 2}: clip '
                         f'{table.clip_id[again.idxmax()]} was already given: remove one of them')
    return dict(zip(table.clip_id, boxes.itertuples(index=False, name=None)))


def region_weights(region: Region, view: Box, frame: tuple[int, int],
                   cells: tuple[int, int]) -> np.ndarray:
    """Share of each token's area that lies in a region, ``(H', W')`` = ``cells``, in [0, 1].

    ``view`` is what the model sees of the ``frame`` (height and width, pixels).
    """
    height, width = frame
    across = _overlap(region[0] / width, region[2] / width, view[0], view[2], cells[1])
    down = _overlap(region[1] / height, region[3] / height, view[1], view[3], cells[0])
    return down[:, None] * across[None, :]


def _overlap(low: float, high: float, start: float, length: float, cells: int) -> np.ndarray:
    borders = start + length * np.arange(cells + 1) / cells
    shared = np.minimum(borders[1:], high) - np.maximum(borders[:-1], low)
    return np.clip(shared / (length / cells), 0, 1)


def survival(kept: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Share of a region's tokens that are still in their own place, ``(M,)`` in [0, 1].

    ``kept`` are M arrays ``(T', H', W')`` bool, ``weights`` ``(H', W')``; nan if all are zero.
    """
    total = weights.sum() or np.nan
    return np.array([(mask * weights).sum() / (len(mask) * total) for mask in kept])


def confidence_interval(values: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean of ``(clips,)`` values, by the percentile bootstrap."""
    if len(values) < 2:
        return float(values[0]), float(values[0])
    interval = bootstrap((values, ), np.mean, n_resamples=2000, method='percentile',
                         random_state=np.random.default_rng(0)).confidence_interval
    return float(interval.low), float(interval.high)


def measure_survival(cfg: Config, checkpoint: str, rivals: Sequence[str], clips: Sequence[Clip],
                     regions: dict[str, Region], device: str = 'cpu') -> pd.DataFrame:
    """Measure the survival of each clip's region under the config's reducer and its rivals.

    Rivals, registered names, take its place with the same weights and keep ratio. The columns
    ``region`` and ``all`` are the share of the region's tokens and of all tokens that are kept
    after a ``merge`` (from 1), in [0, 1]. Clips whose region the model does not see are left out.
    """
    if cfg.model.backbone.get('neck') is None:
        raise ValueError(f'{cfg.filename} has no model.backbone.neck: it keeps all tokens')
    cfg, rows, ratio = copy.deepcopy(cfg), [], None
    for name in (cfg.model.backbone.neck.type, *rivals):
        if ratio is not None:
            cfg.model.backbone.neck = dict(type=name, token_keep_ratio=ratio)
        recognizer = ClipRecognizer(cfg, checkpoint, device)
        ratio = recognizer.model.backbone.neck.token_keep_ratio
        if ratio is None and rivals:
            raise ValueError(f'{name} has no token_keep_ratio that rivals could share: give no '
                             'rivals')
        for clip in track(clips, name, transient=True):
            with open_clip(clip) as footage:
                window, = recognizer.recognize(footage, [(clip.start, clip.end)])
                frame = footage.read([clip.start])[0]
            assert window.tokens is not None  # there is a reducer
            kept = window.tokens.kept
            weights = region_weights(
                regions[clip.clip_id], window.box, frame.shape[:2], kept[0].shape[1:])
            shares = zip(survival(kept, weights), survival(kept, np.ones_like(weights)))
            rows += [(name, merge, clip.clip_id, clip.label, share, chance)
                     for merge, (share, chance) in enumerate(shares, 1)]
    columns = ['reducer', 'merge', 'clip_id', 'label', 'region', 'all']
    return pd.DataFrame(rows, columns=columns).dropna()


def summarize_survival(found: pd.DataFrame) -> pd.DataFrame:
    """Mean, interval and chance level of each reducer and merge, in percent, as text."""
    rows = []
    for (name, merge), part in found.groupby(['reducer', 'merge'], sort=False):
        share, chance = part.region.mean(), part['all'].mean()
        low, high = confidence_interval(part.region.to_numpy())
        rows.append((name, str(merge), f'{100 * share:.1f}', f'{100 * low:.1f} to {100 * high:.1f}',
                     f'{100 * chance:.1f}', f'{share / chance:.2f}'))
    return pd.DataFrame(rows, columns=['reducer', 'merge', 'kept %', '95 % interval', 'chance %',
                                       'kept / chance'])


def draw_survival(found: pd.DataFrame, classes: Sequence[str], out: Path) -> None:
    """Draw the shares by merge, and by class after the last merge, as a PNG."""
    figure = Figure(figsize=(12, 4.6), layout='constrained')
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.9))
    last = found[found['merge'] == found['merge'].max()]
    labels = sorted(label for label in found.label.unique() if label >= 0)
    names = found.reducer.unique()
    for place, name in enumerate(names):
        by_merge = found[found.reducer == name].groupby('merge').region
        _draw_means(left, dict(iter(by_merge)), capsize=3, label=name, color=f'C{place}')
        by_class = last[last.reducer == name].groupby('label').region
        shift = .16 * (place - (len(names) - 1) / 2)
        _draw_means(right, {labels.index(label) + shift: shares for label, shares in by_class
                            if label >= 0}, capsize=2, linestyle='none', color=f'C{place}')
    chance = 100 * found[found.reducer == names[0]].groupby('merge')['all'].mean()
    left.plot(chance.index, chance, 'k--', label='chance: all tokens alike')
    right.axhline(chance.iloc[-1], color='k', linestyle='--')
    left.set(xticks=chance.index, xlabel='merge', ylabel='kept tokens of the gesture\'s region, %',
             ylim=(0, 100), title=f'{found.clip_id.nunique()} clips, 95 % intervals')
    left.legend(fontsize=8)
    right.set(ylim=(0, 100), title='after the last merge, by class')
    right.set_xticks(range(len(labels)), [shorten(classes[label], 32, placeholder='…')
                                          for label in labels], fontsize=8, rotation=25, ha='right')
    with atomic_file(out) as partial:
        figure.savefig(partial, format='png', dpi=110)


def _draw_means(axes: Axes, values: dict[float, pd.Series], **style: Any) -> None:
    means = np.array([part.mean() for part in values.values()])
    ends = np.array([confidence_interval(part.to_numpy()) for part in values.values()]).T
    axes.errorbar(list(values), 100 * means, 100 * np.abs(ends - means), marker='o', **style)

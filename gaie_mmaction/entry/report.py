"""Report of an entry: each stream, every pair, each left out, confidence, classes."""
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import recall_score

from ..benchmark.tables import to_markdown, write_csv
from ..evaluation.class_report import accuracy
from ..evaluation.fusion import fuse
from ..utils.files import write_text
from .fit import Confidence, Streams, fit_weights
from .network import Cost
from .spec import Entry

Tables = dict[str, pd.DataFrame]


def make_tables(entry: Entry, streams: Streams, weights: np.ndarray, confidence: Confidence,
                costs: dict[str, Cost], seconds: dict[str, tuple[float, float]],
                classes: Sequence[str]) -> Tables:
    """All tables, cells as text; accuracies in percent."""
    every = range(len(streams.names))
    left_out = [[k for k in every if k != left] for left in every] if len(every) > 1 else []
    scores, labels = streams.scores['holdout'], streams.labels['holdout']
    # (S + 1, C), of each class on the hold-out, the last row fused
    recalls = np.stack([recall_score(labels, one.argmax(axis=1), labels=range(scores.shape[2]),
                                     average=None, zero_division=np.nan)
                        for one in (*scores, fuse(scores, weights, entry.sum))])
    return dict(
        streams=_streams(entry, streams, weights, costs, seconds, recalls),
        pairs=_fits(entry, streams, combinations(every, 2), 'pair', ' + '),
        leave_one_out=_fits(entry, streams, left_out, 'without', None),
        confidence=_confidence(streams, weights, confidence),
        classes=_classes(streams, recalls, classes))


def _accuracies(entry: Entry, streams: Streams, weights: np.ndarray) -> dict[str, str]:
    """Accuracy of some weights on the hold-out, and on the test if it has labels."""
    cells: dict[str, str] = {}
    for part, labels in streams.labels.items():
        if (labels >= 0).all():
            values = accuracy(fuse(streams.scores[part], weights, entry.sum), labels)
            cells |= {f'{part} Top-1': f'{100 * values["top1"]:.2f}',
                      f'{part} mean class': f'{100 * values["mean1"]:.2f}'}
    return cells


def _streams(entry: Entry, streams: Streams, weights: np.ndarray, costs: dict[str, Cost],
             seconds: dict[str, tuple[float, float]], recalls: np.ndarray) -> pd.DataFrame:
    rows, wins = [], _wins(recalls[:-1])
    for k, name in enumerate(streams.names):
        cost, (training, testing) = costs[name], seconds[name]
        rows.append({
            'stream': name, 'weight': f'{weights[k]:.3f}',
            'temperature': f'{streams.temperatures[k]:.2f}',
            **_accuracies(entry, streams, np.eye(len(weights))[k]),
            'classes won': str(int((wins == [k]).sum()) if len(wins) else 0),
            'GMACs per view': '-' if cost.macs is None else f'{cost.macs / 1e9:.3f}',
            'views': str(cost.views), 'training s': f'{training:.0f}', 'test s': f'{testing:.0f}'})
    rows.append({'stream': 'fused', **_accuracies(entry, streams, weights)})
    return pd.DataFrame(rows).fillna('')


def _fits(entry: Entry, streams: Streams, groups: Iterable[Sequence[int]], title: str,
          joint: str | None) -> pd.DataFrame:
    rows, every = [], set(range(len(streams.names)))
    given = None if entry.fitted else [stream.weight or 0. for stream in entry.streams]
    for members in groups:
        if given is not None and not any(given[k] for k in members):
            continue  # nothing of a sum of zeros
        weights = fit_weights(streams, members, given, entry.sum)
        shown = members if joint else sorted(every - set(members))
        rows.append({title: (joint or ', ').join(streams.names[k] for k in shown),
                     'weights': ' '.join(f'{weights[k]:.3f}' for k in members),
                     **_accuracies(entry, streams, weights)})
    return pd.DataFrame(rows)


def _confidence(streams: Streams, weights: np.ndarray, found: Confidence) -> pd.DataFrame:
    rows = [(f'weight of {name}', f'{weights[k]:.3f}', f'{found.weights[0, k]:.3f}',
             f'{found.weights[1, k]:.3f}') for k, name in enumerate(streams.names)]
    rows += [(name, '', f'{100 * low:.2f}', f'{100 * high:.2f}') for name, (low, high) in (
        ('holdout Top-1, fused', found.fused), ('fused minus best stream', found.gain))]
    rows += [(f'out-of-bag Top-1, {name}', f'{100 * value:.2f}', '', '')
             for name, value in (('fused', found.unseen_fused), ('best stream', found.unseen_best))]
    return pd.DataFrame(rows, columns=['', 'value', '2.5 %', '97.5 %'])


def _wins(recalls: np.ndarray) -> np.ndarray:
    """Stream with the highest recall of each class; -1 without clips or at a tie."""
    filled = np.nan_to_num(recalls, nan=-1)
    best = filled.max(axis=0)
    alone = ((filled == best).sum(axis=0) == 1) & (best > 0)
    return np.where(alone, filled.argmax(axis=0), -1)


def _classes(streams: Streams, recalls: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    clips = np.bincount(streams.labels['holdout'], minlength=recalls.shape[1])
    wins, rows = _wins(recalls[:-1]), []
    for label in np.flatnonzero(clips):
        rows.append({'class': classes[label], 'clips': str(clips[label]),
                     **{name: f'{100 * value:.1f}' for name, value in
                        zip((*streams.names, 'fused'), recalls[:, label])},
                     'won by': streams.names[wins[label]] if wins[label] >= 0 else ''})
    return pd.DataFrame(rows)


def write_report(entry: Entry, tables: Tables, notes: Sequence[str]) -> Path:
    """Write ``report.md`` and one csv per table into the work folder; returns the former."""
    titles = dict(
        streams='Each stream alone, and fused', pairs='Every pair',
        leave_one_out='One stream left out', confidence='Confidence of the fit',
        classes='Recall of each class on the hold-out')
    lines = [f'# {Path(entry.path).stem}', '', *(f'- {note}' for note in notes)]
    for name, table in tables.items():
        if len(table):
            write_csv(table, entry.work_dir / f'{name}.csv')
            lines += ['', f'## {titles[name]}', '', to_markdown(table)]
    path = entry.work_dir / 'report.md'
    write_text(path, '\n'.join(lines) + '\n')
    return path

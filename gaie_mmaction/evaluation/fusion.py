"""Late fusion: one weighted sum of the scores of several networks.

Shapes: S streams (networks), N clips, C classes.
"""
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax
from scipy.stats import binomtest

from ..datasets.annotations import examples
from .class_report import accuracy
from .score_dump import Scores, match, read_dump
from .submission_file import compare_ids, read_clip_ids, submission_order, write_submission

if TYPE_CHECKING:  # slow to import
    import pandas as pd

KINDS = ('probabilities', 'logits')
METHODS = ('grid', 'nelder-mead')
RULES = KINDS  # what is summed
SUM_TOLERANCE = 1e-3  # of probabilities that went through half precision
GRID_LIMIT = 20000
TINY = 1e-12


def get_kind(scores: np.ndarray) -> str:
    """``'probabilities'`` if all rows of ``(N, C)`` are >= 0 and sum to 1, else ``'logits'``."""
    sums = np.abs(scores.sum(axis=1) - 1)
    return 'probabilities' if (scores >= 0).all() and (sums < SUM_TOLERANCE).all() else 'logits'


def to_probabilities(scores: np.ndarray, kind: str, temperature: float = 1.) -> np.ndarray:
    """Probabilities ``(N, C)`` of scores of one of :data:`KINDS`.

    The temperature divides logits, or the logarithms of probabilities, before the softmax; above
    1 it flattens them.
    """
    if kind not in KINDS:
        raise ValueError(f'kind must be one of {KINDS}, but got {kind!r}')
    if kind == 'probabilities':
        if get_kind(scores) != kind:
            raise ValueError('the scores are not probabilities: rows are not in [0, 1] or do not '
                             'sum to 1; treat them as logits')
        if temperature == 1:
            return scores
        scores = np.log(np.maximum(scores, TINY))
    return softmax(scores / temperature, axis=1)


def negative_log_likelihood(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean of ``-log p`` of the true class; ``(N, C)`` and ``(N,)``."""
    # scikit-learn's log_loss takes milliseconds, and the search calls this thousands of times
    true = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(true, TINY)).mean())


def fit_temperature(scores: np.ndarray, labels: np.ndarray, kind: str) -> float:
    """Temperature with the lowest negative log likelihood, between 0.05 and 20."""
    to_probabilities(scores, kind)  # refuses other kinds
    logits = scores if kind == 'logits' else np.log(np.maximum(scores, TINY))

    def loss(log_temperature: float) -> float:
        # not by probabilities: where these underflow, the loss is flat and the search gets stuck
        values = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(values[np.arange(len(labels)), labels].mean())

    return float(np.exp(minimize_scalar(loss, bounds=np.log((.05, 20)), method='bounded').x))


def check_weights(weights: Sequence[float] | np.ndarray, streams: int) -> np.ndarray:
    """Weights as an array ``(S,)``; ``ValueError`` if one is negative, or all are 0."""
    values = np.array(weights, np.float64)
    if len(values) != streams:
        raise ValueError(f'there are {streams} streams, but {len(values)} weights')
    if not np.isfinite(values).all() or (values < 0).any():
        raise ValueError(f'weights must be finite and not negative, but got {list(weights)}')
    if values.sum() == 0:
        raise ValueError(f'the weights {list(weights)} sum to zero: at least one stream must count')
    return values


def fuse(probabilities: Sequence[np.ndarray] | np.ndarray, weights: Sequence[float] | np.ndarray,
         rule: str = 'probabilities') -> np.ndarray:
    """Weighted sum ``(N, C)`` of S streams, same as MMAction2's ``get_weighted_score``.

    With the rule ``'logits'``, their logarithms are summed instead, and the result is a
    probability again.
    """
    values = check_weights(weights, len(probabilities))
    if rule == 'probabilities':
        return np.tensordot(values, np.asarray(probabilities), 1)
    return softmax(np.tensordot(values, np.log(np.maximum(probabilities, TINY)), 1), axis=1)


def search_weights(probabilities: Sequence[np.ndarray] | np.ndarray, labels: np.ndarray,
                   method: str = 'grid', steps: int = 20, rule: str = 'probabilities'
                   ) -> np.ndarray:
    """Find the best weights ``(S,)``, of sum 1, on the given clips, which must not be test clips.

    Args:
        probabilities (Sequence[np.ndarray]): S of ``(N, C)``.
        labels (np.ndarray): ``(N,)``.
        method (str): ``'grid'`` tries all weights that are multiples of ``1 / steps`` and takes
            the best Top-1, of equal ones the lowest negative log likelihood of the fused
            scores; with more than 20,000 of them the steps get coarser. ``'nelder-mead'``
            minimises that likelihood, starting from equal weights, as Top-1 has no slope.
        steps (int): Steps of the grid. Defaults to 20.
        rule (str): One of :data:`RULES`, see :func:`fuse`. Defaults to ``'probabilities'``.
    """
    if method not in METHODS:
        raise ValueError(f'method must be one of {METHODS}, but got {method!r}')
    streams = len(probabilities)

    def loss(weights: np.ndarray) -> float:
        return negative_log_likelihood(fuse(probabilities, weights, rule), labels)

    if method == 'nelder-mead':
        result = minimize(lambda logits: loss(softmax(logits)), np.zeros(streams),
                          method='Nelder-Mead', options=dict(maxiter=400 * streams))
        return softmax(result.x)

    def rank(weights: np.ndarray) -> tuple[int, float]:
        fused = fuse(probabilities, weights, rule)
        return (fused.argmax(axis=1) == labels).sum(), -negative_log_likelihood(fused, labels)

    return max(weight_grid(streams, steps), key=rank)


def weight_grid(streams: int, steps: int = 20) -> list[np.ndarray]:
    """All weights ``(S,)`` of multiples of 1 / steps whose sum is 1; at most 20,000, coarser."""
    while comb(steps + streams - 1, streams - 1) > GRID_LIMIT and steps > 1:
        steps -= 1
    points = []
    for bars in itertools.combinations(range(steps + streams - 1), streams - 1):
        edges = np.array((-1, *bars, steps + streams - 1))
        points.append((np.diff(edges) - 1) / steps)
    return points


@dataclass
class Fusion:
    """Result of :func:`fuse_dumps`."""
    kinds: list[str]  # of the dumps, each one of KINDS
    ids: list[str]  # N clip ids
    scores: np.ndarray  # (N, C) fused
    weights: np.ndarray  # (S,)
    table: 'pd.DataFrame'  # accuracies, one row per labelled part and network, and their sum
    notes: list[str]  # what to know about the table


def fuse_dumps(preds: Sequence[str], weights: Sequence[float] | None = None,
               val_preds: Sequence[str] = (), search: str | None = None, calibrate: bool = False,
               kind: str | None = None) -> Fusion:
    """Fuse the dumps of S networks, matched by clip id.

    Args:
        preds (Sequence[str]): Paths of the dumps, one per network.
        weights (Sequence[float], optional): One per network. Defaults to None, equal weights.
        val_preds (Sequence[str]): Dumps of the same networks on the validation part.
        search (str, optional): One of :data:`METHODS`: find the weights on ``val_preds``.
        calibrate (bool): Fit one temperature per network on ``val_preds``.
        kind (str, optional): One of :data:`KINDS`. Defaults to None, see :func:`get_kind`.

    Raises:
        ValueError: If one is not a dump, if they do not match, if ``val_preds`` have unlabelled
            clips or clips of ``preds``, or if the weights are wrong.
    """
    import pandas as pd
    streams = len(preds)
    fusion_weights = check_weights(weights or [1] * streams, streams)
    tests = match([read_dump(path) for path in preds])
    vals = match([read_dump(path) for path in val_preds]) if val_preds else []
    # what a network outputs does not depend on the part, so both are read in the same way
    kinds = [kind or get_kind(test.scores) for test in tests]
    temperatures = [1.] * streams
    if vals:
        require_other_labelled_clips(vals[0], tests[0], '--val-preds')
    if calibrate:
        temperatures = [fit_temperature(val.scores, val.labels, name)
                        for val, name in zip(vals, kinds)]
    rows, notes = [], []
    for part, parts in (('validation', vals), ('test', tests)):
        if not parts:
            continue
        labels = parts[0].labels
        probabilities = [to_probabilities(stream.scores, name, temperature)
                         for stream, name, temperature in zip(parts, kinds, temperatures)]
        if search and part == 'validation':
            fusion_weights = search_weights(probabilities, labels, search)
        fused = fuse(probabilities, fusion_weights)
        if unlabelled := int((labels < 0).sum()):
            notes.append(f'{unlabelled} of {len(labels)} clips have no label: no accuracy of the '
                         f'{part} part')
            continue
        names = [(stream.path, f'{weight:.3f}', f'{temperature:.2f}') for stream, weight,
                 temperature in zip(parts, fusion_weights, temperatures)] + [('fused', '', '')]
        for scores, name in zip((*probabilities, fused), names):
            values = accuracy(scores, labels)
            rows.append((part, len(labels), *name,
                         *(100 * values[key] for key in ('top1', 'top5', 'mean1'))))
        if part == 'validation' and (search or calibrate):
            notes.append(_size_warning(fused, labels, streams if search else 0))
    table = pd.DataFrame(rows, columns=['part', 'clips', 'network', 'weight', 'temperature',
                                        'Top-1 %', 'Top-5 %', 'mean class %'])
    return Fusion(kinds, tests[0].ids, fused, fusion_weights, table, notes)


def require_other_labelled_clips(val: Scores, test: Scores, name: str) -> None:
    """Refuse to fit on ``val``, called ``name``, with clips of ``test`` or without labels."""
    if both := sorted(set(val.ids) & set(test.ids), key=submission_order):
        raise ValueError(f'{len(both)} clips are in {name} and in the fused part too, e.g. '
                         f'{examples(both)}: nothing may be fitted on the clips that are fused')
    if (val.labels < 0).any():
        raise ValueError(f'{int((val.labels < 0).sum())} clips of {name} have no label')


def _size_warning(fused: np.ndarray, labels: np.ndarray, streams: int) -> str:
    hits = int((fused.argmax(axis=1) == labels).sum())
    low, high = binomtest(hits, len(labels)).proportion_ci(method='wilson')
    fitted = f'the weights of {streams} networks' if streams else 'the temperatures'
    return (f'warning: {fitted} were fitted on {len(labels)} clips. The 95 % confidence interval '
            f'of their Top-1 is {100 * low:.1f} to {100 * high:.1f} %: smaller differences mean '
            'nothing, and the fused accuracy of the validation part is too optimistic')


def write_fusion(fusion: Fusion, out: str, ann_file: str, num_classes: int, format: str) -> None:
    """Write the leaderboard file of a whole part, that of ``ann_file``."""
    if fusion.scores.shape[1] != num_classes:
        raise ValueError(f'the dumps have scores of {fusion.scores.shape[1]} classes, but the '
                         f'leaderboard has {num_classes} (--num-classes); {out} was not written')
    unknown, missing = compare_ids(fusion.ids, read_clip_ids(ann_file, num_classes))
    for what, clips in ((f'are not in {ann_file}', unknown),
                        (f'of {ann_file} are not in the dumps', missing)):
        if clips:
            raise ValueError(f'{len(clips)} clips {what}, e.g. {examples(clips)}; {out} was not '
                             'written')
    write_submission(out, fusion.ids, fusion.scores.argmax(axis=1).tolist(), format)

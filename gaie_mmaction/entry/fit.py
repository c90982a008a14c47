"""Fusion of an entry's streams, fitted on the hold-out alone, and how sure the fit is.

Shapes: S streams, N clips, C classes, P weights of a grid, B bootstrap samples.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..evaluation import fusion
from ..evaluation.score_dump import match, read_dump

NUM_SAMPLES = 500
QUANTILES = (.025, .975)


@dataclass(frozen=True)
class Streams:
    """Calibrated probabilities of all streams.

    Attributes:
        names (list[str]): S names.
        temperatures (list[float]): S temperatures, 1 without calibration.
        ids (dict[str, list[str]]): Clip ids of ``holdout`` and ``test``.
        scores (dict[str, np.ndarray]): ``(S, N, C)`` of each.
        labels (dict[str, np.ndarray]): ``(N,)`` of each, -1 where there is none.
    """
    names: list[str]
    temperatures: list[float]
    ids: dict[str, list[str]]
    scores: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]


def read_streams(dumps: dict[str, dict[str, Path]], calibrate: bool) -> Streams:
    """Read the dumps of ``holdout`` and ``test`` by stream, and calibrate on the first.

    A ``ValueError`` if one is not a dump, the streams do not match, a hold-out clip has no label,
    or a clip is in both parts.
    """
    names = list(dumps['holdout'])
    parts = {part: match([read_dump(str(paths[name])) for name in names])
             for part, paths in dumps.items()}
    holdout = parts['holdout']
    fusion.require_other_labelled_clips(holdout[0], parts['test'][0], 'the hold-out')
    # what a network outputs does not depend on the part
    kinds = [fusion.get_kind(stream.scores) for stream in holdout]
    temperatures = [fusion.fit_temperature(stream.scores, stream.labels, kind) if calibrate else 1.
                    for stream, kind in zip(holdout, kinds)]
    return Streams(
        names, temperatures, {part: found[0].ids for part, found in parts.items()},
        {part: np.stack([fusion.to_probabilities(stream.scores, kind, temperature)
                         for stream, kind, temperature in zip(found, kinds, temperatures)])
         for part, found in parts.items()},
        {part: found[0].labels for part, found in parts.items()})


def top1(scores: np.ndarray, labels: np.ndarray) -> float:
    """Share of the clips whose best class ``(N, C)`` is their label ``(N,)``."""
    return float((scores.argmax(axis=1) == labels).mean())


def fit_weights(streams: Streams, members: Sequence[int], weights: Sequence[float] | None,
                rule: str) -> np.ndarray:
    """Weights ``(S,)`` of some streams, 0 for the others: those given, or the best of the grid."""
    found = np.zeros(len(streams.names))
    chosen = list(members)
    found[chosen] = (np.asarray(weights, np.float64)[chosen] if weights is not None else
                     fusion.search_weights(streams.scores['holdout'][chosen],
                                           streams.labels['holdout'], rule=rule))
    return found


@dataclass(frozen=True)
class Confidence:
    """Results of the bootstrap; intervals are 95 %.

    Attributes:
        units (int): Subjects, videos or clips that were drawn.
        weights (np.ndarray): ``(2, S)``, intervals of the weights.
        fused, gain (tuple[float, float]): Intervals of the fused Top-1 on the hold-out, and of its
            difference to the best single stream.
        unseen_fused, unseen_best (float): Mean out-of-bag Top-1: on the units that a sample lacks,
            with the weights, or the single stream, chosen on the sample. NaN with one unit.
    """
    units: int
    weights: np.ndarray
    fused: tuple[float, float]
    gain: tuple[float, float]
    unseen_fused: float
    unseen_best: float


def bootstrap(streams: Streams, units: Sequence[str], weights: np.ndarray, fitted: bool,
              rule: str) -> Confidence:
    """Draw units of the hold-out with replacement, and fit anew each time.

    ``units`` are those of the hold-out's clips: a subject, a video or the clip itself. ``weights``
    ``(S,)`` are the entry's, which stay unless they were ``fitted``; ``rule`` is what is summed.
    """
    scores, labels = streams.scores['holdout'], streams.labels['holdout']
    grid = np.array(fusion.weight_grid(len(scores))) if fitted else weights[None]
    hits, losses = _outcomes(scores, labels, grid, rule)
    single = scores.argmax(axis=2) == labels  # (S, N)
    names, unit = np.unique(np.asarray(units), return_inverse=True)
    draws = np.random.default_rng(0).multinomial(
        len(names), np.full(len(names), 1 / len(names)), NUM_SAMPLES)
    counts = draws[:, unit].astype(np.float32)  # (B, N)
    # Top-1 in whole hits; of equal ones the lowest loss
    rank = np.round(hits @ counts.T) - (losses @ counts.T) / (1 + losses.max() * counts.sum(axis=1))
    best, alone = rank.argmax(axis=0), (single @ counts.T).argmax(axis=0)  # (B,)
    sizes, unseen = counts.sum(axis=1), counts == 0
    own = _outcomes(scores, labels, weights[None], rule)[0][0]  # (N,), with the entry's weights
    leader = single[single.mean(axis=1).argmax()]
    fused, lead = (own @ counts.T) / sizes, (leader @ counts.T) / sizes
    some = unseen.any(axis=1)
    shares = [float(((outcome & unseen).sum(axis=1)[some] / unseen.sum(axis=1)[some]).mean())
              if some.any() else np.nan for outcome in (hits[best].astype(bool), single[alone])]
    return Confidence(len(names), np.quantile(grid[best], QUANTILES, axis=0), _interval(fused),
                      _interval(fused - lead), *shares)


def _interval(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, QUANTILES)
    return float(low), float(high)


def _outcomes(scores: np.ndarray, labels: np.ndarray, grid: np.ndarray, rule: str
              ) -> tuple[np.ndarray, np.ndarray]:
    """Hits and negative log likelihoods ``(P, N)`` float32 of all weights of a grid."""
    hits, losses = np.empty((2, len(grid), len(labels)), np.float32)
    for k, weights in enumerate(grid):
        fused = fusion.fuse(scores, weights, rule)
        hits[k] = fused.argmax(axis=1) == labels
        true = fused[np.arange(len(labels)), labels]
        losses[k] = -np.log(np.maximum(true / fused.sum(axis=1), fusion.TINY))
    return hits, losses

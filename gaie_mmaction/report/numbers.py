"""Statistics of the report: accuracies with intervals, calibration, paired comparison.

Shapes: N clips, C classes. Intervals are 95 % confidence intervals.
"""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from ..evaluation.class_report import accuracy

CALIBRATION_BINS = 15  # as in Guo et al., On Calibration of Modern Neural Networks, 2017
LENGTH_BINS = 8
RESAMPLES = 10_000


@dataclass(frozen=True)
class Share:
    """A share in [0, 1], its interval, and the number of clips it was counted on."""
    value: float
    low: float
    high: float
    clips: int


def wilson(right: np.ndarray) -> Share:
    """Share of True in ``(N,)`` with Wilson's interval; N must be positive."""
    test = binomtest(int(right.sum()), len(right))
    interval = test.proportion_ci(method='wilson')
    return Share(float(test.statistic), float(interval.low), float(interval.high), len(right))


def rank_classes(scores: np.ndarray) -> np.ndarray:
    """Classes ``(N, C)`` from the highest score down; ties go to the lower class."""
    return np.argsort(-scores, axis=1, kind='stable')


def class_recalls(predicted: np.ndarray, labels: np.ndarray, num_classes: int
                  ) -> list[Share | None]:
    """Recall of each class; None for a class without clips."""
    right = predicted == labels
    return [wilson(right[labels == label]) if (labels == label).any() else None
            for label in range(num_classes)]


def accuracies(scores: np.ndarray, labels: np.ndarray) -> dict[str, Share]:
    """Top-1, Top-5 and mean class accuracy of ``(N, C)`` scores, all clips labelled.

    The interval of the mean class accuracy is a bootstrap's that draws the clips of each class
    anew; a class with very few clips makes it too narrow.
    """
    values = accuracy(scores, labels)
    hits = rank_classes(scores) == labels[:, None]
    clips = np.bincount(labels, minlength=scores.shape[1])
    right = np.bincount(labels[hits[:, 0]], minlength=scores.shape[1])
    seen = clips > 0
    # hits among n clips drawn with replacement are binomial: no need to draw the clips
    drawn = np.random.default_rng(0).binomial(
        clips[seen], right[seen] / clips[seen], (RESAMPLES, int(seen.sum())))
    low, high = np.quantile((drawn / clips[seen]).mean(axis=1), (.025, .975))
    return dict(top1=wilson(hits[:, 0]), top5=wilson(hits[:, :5].any(axis=1)),
                mean1=Share(values['mean1'], float(low), float(high), len(labels)))


def reliability(confidence: np.ndarray, right: np.ndarray) -> tuple[pd.DataFrame, float]:
    """Accuracy over confidence, and the expected calibration error.

    Args:
        confidence (np.ndarray): ``(N,)``, score of the predicted class in [0, 1].
        right (np.ndarray): ``(N,)`` bool, whether the prediction is the label.

    Returns:
        tuple: A table with ``clips``, ``confidence`` and ``accuracy``, one row per bin that has
        clips, of 15 bins of equal width; and the mean over the clips of
        ``|accuracy - confidence|`` of their bin.
    """
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    frame = pd.DataFrame(dict(confidence=confidence, right=right,
                              bin=np.searchsorted(edges[1:-1], confidence)))
    bins = frame.groupby('bin').agg(clips=('right', 'size'), confidence=('confidence', 'mean'),
                                    accuracy=('right', 'mean'))
    gap = (bins.accuracy - bins.confidence).abs()
    return bins, float((gap * bins.clips).sum() / bins.clips.sum())


def accuracy_by_length(lengths: np.ndarray, right: np.ndarray) -> list[tuple[str, Share]]:
    """Accuracy in up to 8 groups of about equally many clips; ``lengths`` in frames."""
    # pandas' qcut loses all clips where they are equally long
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, LENGTH_BINS + 1)[1:-1]))
    groups = np.searchsorted(edges, lengths)
    rows = []
    for group in np.unique(groups):
        inside = groups == group
        low, high = lengths[inside].min(), lengths[inside].max()
        rows.append((f'{low}' if low == high else f'{low} to {high}', wilson(right[inside])))
    return rows


def accuracy_by_video(videos: Sequence[str], right: np.ndarray) -> list[tuple[str, Share]]:
    """Accuracy of each video, the lowest first."""
    rows = [(str(video), wilson(group.to_numpy()))
            for video, group in pd.Series(right).groupby(np.asarray(videos, dtype=object))]
    return sorted(rows, key=lambda row: (row[1].value, row[0]))


@dataclass(frozen=True)
class Comparison:
    """Of the predictions of two networks for the same labelled clips."""
    agreement: float  # share of clips with the same prediction
    only_first: int  # clips that the first alone gets right
    only_second: int
    p_value: float  # McNemar's exact test, two-sided


def compare(first: np.ndarray, second: np.ndarray, labels: np.ndarray) -> Comparison:
    """Compare predictions ``(N,)``; the test asks whether the two are equally often right."""
    one, two = first == labels, second == labels
    only_first, only_second = int((one & ~two).sum()), int((two & ~one).sum())
    different = only_first + only_second
    p_value = float(binomtest(only_first, different).pvalue) if different else 1.
    return Comparison(float((first == second).mean()), only_first, only_second, p_value)

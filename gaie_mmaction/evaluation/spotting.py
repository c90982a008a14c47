"""Gestures found in untrimmed video, compared with the true ones.

A segment is ``(video_id, start_frame, end_frame, label[, score])``; both ends are included, the
score is 0 where it is left out. All figures are pooled over videos and classes.

Overlap is the MiGA organisers': (min of ends - max of starts) / (max of ends - min of starts), on
the frame numbers as they stand. It is the IoU of the stretches between first and last frame, thus
slightly stricter than the IoU of the frames, and negative for segments that do not touch.
"""
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

IOU_THRESHOLDS = tuple(round(.1 * k, 1) for k in range(1, 10))


def overlap(start: float, end: float, other_start: float, other_end: float) -> float:
    """The organisers' overlap, at most 1; two equal single frames overlap by 1."""
    outer = max(end, other_end) - min(start, other_start)
    return (min(end, other_end) - max(start, other_start)) / outer if outer else 1.


def find_hits(predicted: Sequence[tuple], true: Sequence[tuple], min_overlap: float = .3
              ) -> tuple[np.ndarray, np.ndarray]:
    """Match each prediction with at most one true segment, and each true one at most once.

    Predictions choose in order of their scores, ties in the order given. Each takes the free
    true segment of its video and class with the largest overlap, if that is above
    ``min_overlap``.

    Returns:
        tuple[np.ndarray, np.ndarray]: Order of the predictions, ``(P,)``, and whether each, in
        this order, is a hit. A higher score threshold keeps a prefix of both, and changes
        no match in it.
    """
    _require_segments([*predicted, *true])
    free = defaultdict(list)
    for video_id, start, end, label in (segment[:4] for segment in true):
        free[video_id, int(label)].append((start, end))
    order = np.argsort([-_score(segment) for segment in predicted], kind='stable')
    hits = np.zeros(len(predicted), dtype=bool)
    for place, k in enumerate(order):
        video_id, start, end, label = predicted[k][:4]
        candidates = free.get((video_id, int(label)), [])
        overlaps = [overlap(start, end, *other) for other in candidates]
        if overlaps and max(overlaps) > min_overlap:
            candidates.pop(int(np.argmax(overlaps)))
            hits[place] = True
    return order, hits


def spotting_f1(predicted: Sequence[tuple], true: Sequence[tuple], min_overlap: float = .3,
                kit: bool = False) -> dict[str, float]:
    """Precision, recall and F1 of spotted gestures, in [0, 1], and the number of hits.

    Args:
        predicted (Sequence[tuple]): Segments found.
        true (Sequence[tuple]): True segments.
        min_overlap (float): A hit has the class of a true segment and an overlap above it.
            Defaults to 0.3.
        kit (bool): Count as the organisers' kit: each true segment that any prediction matches is
            a hit, so that one prediction can hit several, and precision exceed 1. 1e-7 is
            added to the denominator of F1, and a segment of a single frame never matches
            itself. Defaults to False.

    Returns:
        dict[str, float]: ``precision``, ``recall``, ``f1`` (0 where undefined) and ``hits``.

    Raises:
        ValueError: If a segment has fewer than 4 or more than 5 values, ends before it starts, or
            has a score that is not finite.
    """
    if not kit:
        return _ratios(int(find_hits(predicted, true, min_overlap)[1].sum()), predicted, true)
    _require_segments([*predicted, *true])
    found = defaultdict(list)
    for video_id, start, end, label in (segment[:4] for segment in predicted):
        found[video_id, int(label)].append((start, end))
    hits = sum(any(overlap(start, end, *other) > min_overlap
                   for other in found.get((video_id, int(label)), ())
                   if max(end, other[1]) > min(start, other[0]))
               for video_id, start, end, label in (segment[:4] for segment in true))
    result = _ratios(hits, predicted, true)
    total = result['precision'] + result['recall'] + 1e-7
    return dict(result, f1=2 * result['precision'] * result['recall'] / total)


def f1_per_class(predicted: Sequence[tuple], true: Sequence[tuple],
                 min_overlap: float = .3) -> dict[int, dict[str, float]]:
    """:func:`spotting_f1` of each class that occurs, by label."""
    labels = sorted({int(segment[3]) for segment in (*predicted, *true)})
    return {label: spotting_f1([segment for segment in predicted if int(segment[3]) == label],
                               [segment for segment in true if int(segment[3]) == label],
                               min_overlap) for label in labels}


def f1_curve(predicted: Sequence[tuple], true: Sequence[tuple],
             min_overlap: float = .3) -> tuple[np.ndarray, np.ndarray]:
    """F1 when the predictions with a score of at least each threshold are kept.

    Returns:
        tuple[np.ndarray, np.ndarray]: Thresholds, falling, which are the scores that occur, and F1.
    """
    order, hits = find_hits(predicted, true, min_overlap)
    scores = np.array([_score(predicted[k]) for k in order])
    # equal scores stay or fall together
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)) if len(scores) else order
    return scores[last], 2 * hits.cumsum()[last] / (last + 1 + len(true))


def best_threshold(predicted: Sequence[tuple], true: Sequence[tuple],
                   min_overlap: float = .3) -> tuple[float, float]:
    """The highest score threshold with the best F1, and that F1; infinity without predictions."""
    thresholds, f1 = f1_curve(predicted, true, min_overlap)
    if not len(f1):
        return float('inf'), 0.
    return float(thresholds[f1.argmax()]), float(f1.max())


def mean_average_precision(predicted: Sequence[tuple],
                           true: Sequence[tuple]) -> dict[float, float]:
    """Mean over the true classes of MMAction2's average precision, by IoU threshold, 0.1 to 0.9.

    Times are [start_frame, end_frame + 1), thus IoU counts frames; it must be at least the
    threshold.
    """
    from mmaction.evaluation.functional import average_precision_at_temporal_iou
    by_class: dict[int, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    for video_id, start, end, label in (segment[:4] for segment in true):
        by_class[int(label)][str(video_id)].append([start, end + 1])
    precisions = [average_precision_at_temporal_iou(
        {video_id: np.array(segments) for video_id, segments in videos.items()},
        [[str(segment[0]), label, segment[1], segment[2] + 1, _score(segment)]
         for segment in predicted if int(segment[3]) == label], IOU_THRESHOLDS)
        for label, videos in by_class.items()]
    means = np.mean(precisions, axis=0) if precisions else np.zeros(len(IOU_THRESHOLDS))
    return dict(zip(IOU_THRESHOLDS, means.tolist()))


def _score(segment: tuple) -> float:
    return float(segment[4]) if len(segment) > 4 else 0.


def _ratios(hits: int, predicted: Sequence[tuple], true: Sequence[tuple]) -> dict[str, float]:
    return dict(precision=hits / max(len(predicted), 1), recall=hits / max(len(true), 1),
                f1=2 * hits / max(len(predicted) + len(true), 1), hits=hits)


def _require_segments(segments: Iterable[tuple]) -> None:
    for segment in segments:
        if not 4 <= len(segment) <= 5 or not 0 <= segment[1] <= segment[2] or (
                not np.isfinite(_score(segment))):
            raise ValueError('a segment is (video_id, start_frame, end_frame, label[, score]) with '
                             f'0 <= start_frame <= end_frame and a finite score, but got {segment}')

"""From the scores of windows to segments, with thresholds fitted on a hold-out part.

Shapes: F frames, C classes without background, which is the last score of a window.
"""
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch

from ..datasets.annotations import read_annotations
from ..datasets.segment_file import check_segments, read_segments
from ..datasets.spotting_windows import get_video_id
from ..ops.temporal_detection import soft_nms
from ..utils.files import write_text
from .score_dump import read_dump
from .spotting import best_threshold, spotting_f1

THRESHOLDS = tuple(round(.1 * k, 1) for k in range(1, 10))


@dataclass(frozen=True)
class SegmentRule:
    """How frame scores become segments.

    Attributes:
        thresholds: Frames of class c have a score of at least ``thresholds[c]``.
        max_gap: Runs of a class are merged across gaps of at most this many frames.
        min_length: Shortest segment kept, in frames.
        sigma: Parameter of soft-NMS over all classes; large values suppress nothing.
        min_score: Lowest score of a segment kept; its score is the mean of its frames'.
    """
    thresholds: tuple[float, ...]
    max_gap: int
    min_length: int
    sigma: float
    min_score: float = 0.


def read_frame_scores(windows: str | Path, dump: str | Path) -> dict[str, np.ndarray]:
    """Mean score of the windows that a frame lies in, ``(F, C)`` by video id.

    Args:
        windows (str or Path): ``PART_dense.csv`` of ``tools/data/spotting_windows.py``.
        dump (str or Path): Its scores, by ``mim test --dump``.

    Raises:
        ValueError: If a window has no score, or a frame no window.
    """
    scores = read_dump(str(dump))
    row_of = {clip_id: row for row, clip_id in enumerate(scores.ids)}
    by_video: dict[str, list[dict]] = {}
    clips = read_annotations(str(windows), scores.scores.shape[1])
    if missing := [clip['clip_id'] for clip in clips if clip['clip_id'] not in row_of]:
        raise ValueError(f'{dump} has no scores of {len(missing)} of {len(clips)} windows of '
                         f'{windows}, e.g. {missing[0]}: test with this annotation file')
    for clip in clips:
        by_video.setdefault(get_video_id(clip['video']), []).append(clip)
    try:
        return {video_id: frame_scores(
            [(clip['start_frame'], clip['end_frame']) for clip in own],
            scores.scores[[row_of[clip['clip_id']] for clip in own]])[:, :-1]
            for video_id, own in by_video.items()}
    except ValueError as error:
        raise ValueError(f'{windows}: {error}; give PART_dense.csv, all windows') from error


def frame_scores(ranges: Sequence[tuple[int, int]], scores: np.ndarray) -> np.ndarray:
    """Mean over the windows, of first and last frame ``ranges``, that a frame lies in.

    ``scores`` are ``(windows, n)``, the result is ``(F, n)``. A frame that lies in no window is a
    ``ValueError``.
    """
    num_frames = max(0, *(end for _, end in ranges)) + 1
    total = np.zeros((num_frames, scores.shape[1]))
    count = np.zeros((num_frames, 1))
    for (start, end), score in zip(ranges, scores):
        total[start:end + 1] += score
        count[start:end + 1] += 1
    if not count.all():
        raise ValueError(f'no window covers frame {count.argmin()}')
    return total / count


def spot(frame_scores: Mapping[str, np.ndarray], rule: SegmentRule) -> list[tuple]:
    """Segments ``(video_id, start_frame, end_frame, label, score)`` of all videos."""
    found = []
    for video_id, scores in frame_scores.items():
        if scores.shape[1] != len(rule.thresholds):
            raise ValueError(f'the rule is of {len(rule.thresholds)} classes, but the scores of '
                             f'video {video_id} are of {scores.shape[1]}: fit it on scores of the '
                             'same network')
        segments = [(start, stop, label, float(scores[start:stop, label].mean()))
                    for label, threshold in enumerate(rule.thresholds)
                    for start, stop in _stretches(scores[:, label] >= threshold, rule.max_gap)
                    if stop - start >= rule.min_length]
        values = torch.tensor([segment[3] for segment in segments], dtype=torch.float64)
        times = torch.tensor([segment[:2] for segment in segments], dtype=torch.float64)
        kept, values = soft_nms(times.reshape(-1, 2), values, rule.sigma, rule.min_score,
                                len(segments))
        found += [(video_id, segments[k][0], segments[k][1] - 1, segments[k][2], score)
                  for k, score in zip(kept.tolist(), values.tolist())]
    return found


def _stretches(mask: np.ndarray, max_gap: int) -> list[tuple[int, int]]:
    """Start and stop (exclusive) of the runs of True, merged across short gaps."""
    borders = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    merged: list[tuple[int, int]] = []
    for start, stop in borders.reshape(-1, 2).tolist():
        if merged and start - merged[-1][1] <= max_gap:
            start = merged.pop()[0]
        merged.append((start, stop))
    return merged


def read_true_segments(path: str | Path, frame_scores: Mapping[str, np.ndarray]) -> list[tuple]:
    """True segments of the scored videos; any other video, class or frame is a ``ValueError``."""
    segments = read_segments(path, next(iter(frame_scores.values())).shape[1])
    check_segments(segments, {video_id: len(scores) for video_id, scores in frame_scores.items()},
                   path)
    return segments


def fit_rule(frame_scores: Mapping[str, np.ndarray], true: Sequence[tuple],
             min_overlap: float = .3) -> SegmentRule:
    """The rule with the best F1 on a hold-out part.

    One threshold for all classes, merging, length and suppression are found by grid search. Then,
    in turn, each class with at least five true segments gets its own threshold if that raises F1
    over all classes. ``min_score`` comes last.

    Raises:
        ValueError: If there is no true segment.
    """
    if not true:
        raise ValueError('a rule needs a labelled part, but there is no true segment')
    classes = next(iter(frame_scores.values())).shape[1]
    lengths = [segment[2] - segment[1] + 1 for segment in true]
    shortest, median = int(min(lengths)), int(np.median(lengths))

    def score(rule: SegmentRule) -> float:
        return best_threshold(spot(frame_scores, rule), true, min_overlap)[1]

    grid = [SegmentRule((threshold, ) * classes, gap, length, sigma)
            for threshold, gap, length, sigma in product(
                THRESHOLDS, (0, median // 4), (1, shortest // 2, shortest), (.1, 1e6))]
    best = max(grid, key=score)
    for label in range(classes):
        if sum(segment[3] == label for segment in true) < 5:
            continue  # too few to choose by
        others = best.thresholds
        rules = [replace(best, thresholds=(*others[:label], value, *others[label + 1:]))
                 for value in THRESHOLDS]
        best = max([best, *rules], key=score)  # the first of equals: no change without a gain
    threshold, _ = best_threshold(spot(frame_scores, best), true, min_overlap)
    return replace(best, min_score=threshold if np.isfinite(threshold) else 0.)


def save_rule(path: str | Path, rule: SegmentRule) -> None:
    """Write a rule as JSON."""
    write_text(path, json.dumps(asdict(rule), indent=1))


def load_rule(path: str | Path) -> SegmentRule:
    """Read what :func:`save_rule` wrote; anything else is a ``ValueError``."""
    try:
        values = json.loads(Path(path).read_text(encoding='utf-8'))
        return SegmentRule(**{**values, 'thresholds': tuple(values['thresholds'])})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f'{path} is not a rule ({type(error).__name__}: {error}): give the '
                         'OUT.rule.json of tools/spot_windows.py') from error


def describe(name: str, predicted: Sequence[tuple], true: Sequence[tuple],
             min_overlap: float = .3) -> str:
    """A line with F1, precision, recall, and the kit's F1."""
    found = spotting_f1(predicted, true, min_overlap)
    kit = spotting_f1(predicted, true, min_overlap, kit=True)
    return (f'{name}: F1 {found["f1"]:.3f} (precision {found["precision"]:.3f}, recall '
            f'{found["recall"]:.3f}; kit {kit["f1"]:.3f}) at overlap {min_overlap}, '
            f'{len(predicted)} found, {len(true)} true')

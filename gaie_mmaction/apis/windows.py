"""Windows over a long video, and the segments that their scores give.

Shapes: F frames, W windows, C classes. Frame ranges include both ends.
"""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Segment:
    """Frames of one class; ``score`` is the mean of the class's frame scores, in [0, 1]."""
    start: int
    end: int
    label: int
    score: float


def window_ranges(num_frames: int, window: int, stride: int) -> list[tuple[int, int]]:
    """First and last frame of windows that cover F frames, ``stride`` in [1, window] apart.

    The last one ends at frame F - 1. At most ``window`` frames give one window.
    """
    if num_frames < 1 or window < 1:
        raise ValueError(f'num_frames and window must be at least 1, but got {num_frames} and '
                         f'{window}')
    if not 1 <= stride <= window:
        raise ValueError(f'stride must be in [1, window = {window}], so that no frame is left '
                         f'out, but got {stride}')
    last = max(num_frames - window, 0)
    starts = [*range(0, last, stride), last]
    return [(start, min(start + window, num_frames) - 1) for start in starts]


def frame_scores(ranges: Sequence[tuple[int, int]], scores: np.ndarray) -> np.ndarray:
    """Mean over the windows that a frame lies in, ``(W, C) -> (F, C)``; they cover all frames."""
    num_frames = max(end for _, end in ranges) + 1
    total = np.zeros((num_frames, scores.shape[1]))
    count = np.zeros((num_frames, 1))
    for (start, end), score in zip(ranges, scores):
        total[start:end + 1] += score
        count[start:end + 1] += 1
    return total / count


def merge_segments(scores: np.ndarray, threshold: float, max_gap: int = 0) -> list[Segment]:
    """Join neighbouring frames of the same best class, in order of time and without overlap.

    Args:
        scores (np.ndarray): ``(F, C)``.
        threshold (float): Frames with a lower best score belong to no segment.
        max_gap (int): Segments of one class are joined across at most so many frames that
            belong to no segment. Defaults to 0.
    """
    best = np.where(scores.max(axis=1) >= threshold, scores.argmax(axis=1), -1)
    borders = [0, *(np.flatnonzero(np.diff(best)) + 1).tolist(), len(best)]
    parts: list[tuple[int, int, int]] = []  # start, stop (exclusive), class
    for start, stop in zip(borders, borders[1:]):
        label = int(best[start])
        if label < 0:
            continue
        if parts and parts[-1][2] == label and start - parts[-1][1] <= max_gap:
            start = parts.pop()[0]
        parts.append((start, stop, label))
    return [Segment(start, stop - 1, label, float(scores[start:stop, label].mean()))
            for start, stop, label in parts]

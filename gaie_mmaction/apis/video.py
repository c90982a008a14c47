"""Gestures of a whole video: windows, scores per frame and segments.

Shapes: F frames, C classes. Frame ranges include both ends.
"""
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from ..evaluation.window_spotting import SegmentRule, frame_scores, spot
from .footage import Footage
from .recognition import ClipRecognizer, Window
from .video_detector import VideoDetector


@dataclass(frozen=True)
class Segment:
    """Frames of one class; ``score`` in [0, 1]: mean of its frame scores, or the detector's."""
    start: int
    end: int
    label: int
    score: float


@dataclass(frozen=True)
class VideoResult:
    """Gestures of a video."""
    filename: str  # or the folder of images
    fps: float
    windows: list[Window]  # in order of time, covering all frames
    scores: np.ndarray  # (F, C), mean over the windows that a frame is in
    segments: list[Segment]  # frames of one class with a score of at least ``threshold``
    threshold: float
    recognizer: ClipRecognizer

    def top5(self, scores: np.ndarray) -> list[dict[str, Any]]:
        """The five best classes, best first: ``label``, ``name`` and ``score``."""
        best = np.argsort(-scores, kind='stable')[:5].tolist()
        return [dict(label=label, name=self.recognizer.classes.names[label],
                     score=round(float(scores[label]), 6)) for label in best]

    def to_dict(self) -> dict[str, Any]:
        """All but frame scores and tokens, for JSON; ``view`` is the first window's ``box``."""
        classes = self.recognizer.classes
        return dict(
            video=self.filename, frames=len(self.scores), fps=self.fps,
            view=self.windows[0].box, top5=self.top5(self.scores.mean(axis=0)),
            segments=[dict(start_frame=s.start, end_frame=s.end, label=s.label,
                           name=classes.names[s.label], score=round(s.score, 6))
                      for s in self.segments],
            windows=[dict(start_frame=w.start, end_frame=w.end, top5=self.top5(w.scores))
                     for w in self.windows],
            model=dict(config=self.recognizer.cfg.filename, checkpoint=self.recognizer.checkpoint,
                       classes_named_by=classes.origin, caution=classes.caution))


def recognize_video(recognizer: ClipRecognizer, footage: Footage, window: int = 64,
                    stride: int = 16, threshold: float = .5,
                    rule: SegmentRule | None = None, detector: VideoDetector | None = None,
                    keep_tokens: bool = True) -> VideoResult:
    """Recognize the gestures of a video in windows of ``window`` frames, ``stride`` apart.

    Neighbouring frames of one class with a score of at least ``threshold`` become a segment. With
    the ``rule`` of a window classifier, whose last class is background, segments are those of
    :func:`spot`; with a ``detector``, those that it finds in the features of the windows with a
    score of at least ``threshold``. Of the tokens is kept what :func:`write_annotated_video`
    draws, 14 kB of 1568 tokens per window, or nothing without ``keep_tokens``.

    Raises:
        ValueError: If the rule or the detector does not fit the classes, the recognizer gives a
            detector no features, or the errors of :meth:`VideoDetector.detect`.
    """
    classes = len(recognizer.classes.names)
    if rule is not None and len(rule.thresholds) != classes - 1:
        raise ValueError(f'the rule is for {len(rule.thresholds)} classes and background, but the '
                         f'model has {classes} classes')
    if detector is not None and detector.model.num_classes > classes:
        raise ValueError(f'the detector {detector.cfg.filename} has {detector.model.num_classes} '
                         f'classes, but the recognizer only {classes}')
    ranges = window_ranges(len(footage), window, stride)
    found_windows = track(
        recognizer.recognize(footage, ranges), f'{Path(footage.filename).name}, windows',
        len(ranges), transient=True, disable=len(ranges) == 1)
    # an hour has thousands of windows
    windows = [replace(one, tokens=one.tokens.as_drawn() if one.tokens and keep_tokens else None)
               for one in found_windows]
    scores = frame_scores(ranges, np.stack([window.scores for window in windows]))
    if detector is not None:
        features = [window.features for window in windows if window.features is not None]
        if not features:
            raise ValueError('a detector needs one tensor of features, which the backbone of '
                             f'{recognizer.cfg.filename} does not give')
        found = detector.detect(np.stack(features), ranges)
        segments = [Segment(*row) for row in found if row[3] >= threshold]
    elif rule is not None:
        segments = [Segment(*row[1:]) for row in spot({'': scores[:, :-1]}, rule)]
        threshold = rule.min_score
    else:
        segments = merge_segments(scores, threshold, max_gap=stride)
    segments.sort(key=lambda segment: segment.start)
    return VideoResult(
        footage.filename, footage.fps, windows, scores, segments, threshold, recognizer)


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


def merge_segments(scores: np.ndarray, threshold: float, max_gap: int = 0) -> list[Segment]:
    """Join neighbouring frames of the same best class, in order of time and without overlap.

    Frames whose best score is below ``threshold`` belong to no segment; segments of one class are
    joined across at most ``max_gap`` of them.
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

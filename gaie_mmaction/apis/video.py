"""Gestures of a whole video: windows, scores per frame and segments."""
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from .footage import Footage
from .recognition import ClipRecognizer, Window
from .windows import Segment, frame_scores, merge_segments, window_ranges


@dataclass(frozen=True)
class VideoResult:
    """Gestures of a video of F frames.

    Attributes:
        filename (str): The video, or the folder of images.
        fps (float): Frame rate in frames/s.
        windows (list[Window]): In order of time, covering all frames.
        scores (np.ndarray): ``(F, classes)``, mean over the windows that a frame is in.
        segments (list[Segment]): Frames of one class with a score of at least ``threshold``.
        threshold (float): Of the segments.
        recognizer (ClipRecognizer): The model.
    """
    filename: str
    fps: float
    windows: list[Window]
    scores: np.ndarray
    segments: list[Segment]
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
                    stride: int = 16, threshold: float = .5) -> VideoResult:
    """Recognize the gestures of a video in windows of ``window`` frames, ``stride`` apart.

    Neighbouring frames of one class with a score of at least ``threshold``, in [0, 1], become a
    segment.

    Raises:
        ValueError: If ``window`` or ``stride`` is out of range.
        VideoReadError: If a frame cannot be read.
    """
    ranges = window_ranges(len(footage), window, stride)
    windows = list(track(
        recognizer.recognize(footage, ranges), f'{Path(footage.filename).name}, windows',
        len(ranges), transient=True, disable=len(ranges) == 1))
    scores = frame_scores(ranges, np.stack([window.scores for window in windows]))
    segments = merge_segments(scores, threshold, max_gap=stride)
    return VideoResult(
        footage.filename, footage.fps, windows, scores, segments, threshold, recognizer)

"""Gestures of a whole video: windows, scores per frame and segments."""
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from ..utils.files import atomic_file
from .class_names import ClassNames
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
        segments (list[Segment]): Frames of one class with a mean score of at least ``threshold``.
        threshold (float): Of the segments.
        classes (ClassNames): Of the model.
        tubelet_size (int): Frames that a token stands for.
        model (dict[str, str]): Its ``config`` and ``checkpoint``.
    """
    filename: str
    fps: float
    windows: list[Window]
    scores: np.ndarray
    segments: list[Segment]
    threshold: float
    classes: ClassNames
    tubelet_size: int
    model: dict[str, str]

    def top(self, scores: np.ndarray, number: int = 5) -> list[dict[str, Any]]:
        """The best classes: ``label``, ``name`` and ``score``, best first."""
        best = np.argsort(-scores, kind='stable')[:number].tolist()
        return [dict(label=label, name=self.classes.names[label],
                     score=round(float(scores[label]), 6)) for label in best]

    def to_dict(self) -> dict[str, Any]:
        """All but the frame scores and the tokens, in types that JSON knows.

        ``view`` is the part of the frame that the model saw: left, top, width and height as
        shares of the frame.
        """
        return dict(
            video=self.filename, frames=len(self.scores), fps=self.fps,
            view=self.windows[0].box, top5=self.top(self.scores.mean(axis=0)),
            segments=[dict(start_frame=s.start, end_frame=s.end, label=s.label,
                           name=self.classes.names[s.label], score=round(s.score, 6))
                      for s in self.segments],
            windows=[dict(start_frame=w.start, end_frame=w.end, top5=self.top(w.scores))
                     for w in self.windows],
            model=dict(self.model, classes_named_by=self.classes.origin,
                       caution=self.classes.caution))

    def write_json(self, path: Path) -> None:
        """Write :meth:`to_dict`."""
        with atomic_file(path) as partial:
            partial.write_text(json.dumps(self.to_dict(), indent=1), encoding='utf-8')


def recognize_video(recognizer: ClipRecognizer, footage: Footage, window: int = 64,
                    stride: int = 16, threshold: float = .5) -> VideoResult:
    """Recognize the gestures of a video in overlapping windows.

    Args:
        recognizer (ClipRecognizer): The model.
        footage (VideoFile or ImageFolder): The video.
        window (int): Frames that are recognized together. Defaults to 64.
        stride (int): Frames from one window to the next, at most ``window``. Defaults to 16.
        threshold (float): Lowest score, in [0, 1], of a frame of a segment. Defaults to 0.5.

    Raises:
        ValueError: If ``window`` or ``stride`` is out of range.
        VideoReadError: If a frame cannot be read.
    """
    ranges = window_ranges(len(footage), window, stride)
    windows = list(track(
        recognizer.recognize(footage, ranges), f'{Path(footage.filename).name}, windows',
        len(ranges), transient=True, disable=len(ranges) == 1))
    scores = frame_scores(ranges, np.stack([window.scores for window in windows]))
    return VideoResult(
        filename=footage.filename, fps=footage.fps, windows=windows, scores=scores,
        segments=merge_segments(scores, threshold, max_gap=stride), threshold=threshold,
        classes=recognizer.classes, tubelet_size=recognizer.tubelet_size,
        model=dict(config=recognizer.cfg.filename, checkpoint=recognizer.checkpoint))

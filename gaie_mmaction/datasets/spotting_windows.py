"""Windows of whole videos, labelled by their segments, as clips with one more class."""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from .annotations import Segment

BACKGROUND = 'Background'


@dataclass(frozen=True)
class WindowRule:
    """How windows are placed and labelled.

    A window has the class of the segment that it overlaps most, in frames relative to the shorter
    of the two, if that is at least ``min_overlap``. It is background if it overlaps none.

    Args:
        length (int): Length of a window in frames.
        stride (int): Frames from the start of a window to that of the next, in [1, length].
        min_overlap (float): Smallest overlap with a segment, in (0, 1].
        background_share (float): Share of background among the training windows, in [0, 1).
        hardness (float): Share of the background windows, in [0, 1], that are those nearest to a
            segment; the others are drawn at random.

    Raises:
        ValueError: If a value is out of its range.
    """
    length: int = 32
    stride: int = 8
    min_overlap: float = .6
    background_share: float = .3
    hardness: float = .5

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= self.length:
            raise ValueError(f'stride must be in [1, length = {self.length}], but got '
                             f'{self.stride}')
        if not (0 < self.min_overlap <= 1 and 0 <= self.background_share < 1
                and 0 <= self.hardness <= 1):
            raise ValueError('needs min_overlap in (0, 1], background_share in [0, 1) and hardness '
                             f'in [0, 1], but got {self}')


def get_video_id(video: str) -> str:
    """Id of a video in ``segments.csv`` and feature files: the stem of its name."""
    return PurePosixPath(video).stem


def dense_windows(segments: Sequence[Segment], num_frames: Mapping[str, int], rule: WindowRule,
                  background: int) -> list[Segment]:
    """All windows of all videos, for testing and features.

    Those that overlap labelled segments by less than ``min_overlap`` count as background here. The
    last window of a video ends with it. ``num_frames`` is that of each video, by path as in the
    segments; ``background`` is the label of the background. A window that is longer than a video is
    a ``ValueError``.
    """
    return [window._replace(label=background) if window.label < 0 else window
            for window, _ in _label_windows(segments, num_frames, rule, background)]


def training_windows(segments: Sequence[Segment], num_frames: Mapping[str, int], rule: WindowRule,
                     background: int, seed: int = 0) -> list[Segment]:
    """Windows of segments, and a share of background; arguments of :func:`dense_windows`.

    Windows that overlap segments by less than ``min_overlap`` are left out. If there are too few
    background windows for ``background_share``, all of them are taken; none is a ``ValueError``.
    """
    labelled = _label_windows(segments, num_frames, rule, background)
    gestures = [window for window, _ in labelled if 0 <= window.label != background]
    free = [(distance, window) for window, distance in labelled if window.label == background]
    if rule.background_share and not free:
        raise ValueError(
            f'no window of {rule.length} frames is free of segments: the gaps between them are '
            'shorter. Choose a smaller length, or background_share=0')
    wanted = round(len(gestures) * rule.background_share / (1 - rule.background_share))
    wanted = min(wanted, len(free))
    rng = np.random.default_rng(seed)
    # shuffled first, so that windows at equal distances come from all videos
    free = [free[k] for k in rng.permutation(len(free))]
    free.sort(key=lambda item: item[0])
    hard = round(wanted * rule.hardness)
    others = hard + rng.permutation(len(free) - hard)[:wanted - hard]
    chosen = [window for _, window in free[:hard]] + [free[k][1] for k in others]
    return sorted(gestures + chosen, key=lambda window: (window.video, window.start_frame))


def _label_windows(segments: Sequence[Segment], num_frames: Mapping[str, int], rule: WindowRule,
                   background: int) -> list[tuple[Segment, float]]:
    """Windows, -1 where the overlap is too small, and their distance to a segment in frames."""
    windows = []
    for video, frames in sorted(num_frames.items()):
        if rule.length > frames:
            raise ValueError(f'windows of {rule.length} frames are longer than the {frames} frames '
                             f'of {video}: choose a smaller length, or leave the video out')
        own = [segment for segment in segments if segment.video == video]
        for start in [*range(0, frames - rule.length, rule.stride), frames - rule.length]:
            label, distance = _label(own, start, start + rule.length - 1, rule, background)
            windows.append((Segment(f'{get_video_id(video)}_w{start}', video, start,
                                    start + rule.length - 1, label), distance))
    return windows


def _label(segments: Sequence[Segment], start: int, end: int, rule: WindowRule,
           background: int) -> tuple[int, float]:
    best, label, distance = 0., background, float('inf')
    for segment in segments:
        inner = min(end, segment.end_frame) - max(start, segment.start_frame) + 1
        distance = min(distance, 1 - inner)
        share = inner / min(rule.length, segment.end_frame - segment.start_frame + 1)
        if share > best:
            best, label = share, segment.label if share >= rule.min_overlap else -1
    return label, distance

"""Untrimmed videos as sequences of features, with their segments."""
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmaction.registry import DATASETS
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from ..utils.files import atomic_file, read_text
from ..utils.safe_pickle import DAMAGE
from .imigue_classes import HasIMiGUEClasses
from .segment_file import check_segments, read_segments

KEYS = ('videos', 'start_frames', 'end_frames', 'features')
REMEDY = 'write it with tools/extract_features.py from windows of a segment csv'


@dataclass(frozen=True)
class FeatureSequence:
    """Features of a video at equal distances in time."""
    features: np.ndarray  # (T, C) float32
    first_frame: float  # the middle of the frames that step 0 describes
    frame_stride: float  # frames between two steps
    num_frames: int


def write_feature_file(path: str | Path, sequences: Mapping[str, np.ndarray]) -> None:
    """Write sequences ``(F, C)`` with a row per frame, by video id."""
    frames = np.concatenate([np.arange(len(features)) for features in sequences.values()])
    with atomic_file(path) as partial, open(partial, 'wb') as file:
        np.savez(file, videos=np.repeat(list(sequences), list(map(len, sequences.values()))),
                 start_frames=frames, end_frames=frames,
                 features=np.concatenate(list(sequences.values())))


def read_feature_file(path: str | Path) -> dict[str, FeatureSequence]:
    """Sequence of each video of an npz, by video id.

    The file has a row for each step of each video: ``videos`` (its id), ``start_frames`` and
    ``end_frames`` (the frames described, both included) and ``features`` ``(rows, C)``, which
    is what ``tools/extract_features.py`` writes for windows of a segment csv. The last window
    of a video often ends with it, out of step with the others; it is then left out. Videos of one
    or two windows get the stride of the others, which is logged.

    Raises:
        ValueError: If the file is damaged, an array missing or of the wrong length, a feature not
            finite, or the steps of a video are not equally far apart, or too few where the other
            videos have no common stride.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in KEYS if key in file}
    except FileNotFoundError:
        raise
    except DAMAGE as error:
        raise ValueError(f'{path} cannot be read ({type(error).__name__}: {error}): {REMEDY}'
                         ) from error
    if missing := [key for key in KEYS if key not in arrays]:
        raise ValueError(f'{path} lacks {", ".join(missing)}: {REMEDY}')
    videos, starts, ends, features = (arrays[key] for key in KEYS)
    if features.ndim != 2 or not len(videos) == len(starts) == len(ends) == len(features) > 0:
        raise ValueError(f'{path}: {", ".join(KEYS)} must have one row per step, but have the '
                         f'shapes {videos.shape}, {starts.shape}, {ends.shape}, {features.shape}')
    if not np.isfinite(features).all():
        raise ValueError(f'{path}: features of video {videos[~np.isfinite(features).all(1)][0]} '
                         'are not finite')
    if (wrong := (starts < 0) | (ends < starts)).any():
        raise ValueError(f'{path}: video {videos[wrong][0]} needs 0 <= start_frame <= end_frame in '
                         'each row: a bare clip list has no frame numbers, use a segment csv')
    order = np.lexsort((starts, videos))
    names, begins = np.unique(videos[order], return_index=True)
    rows_of = dict(zip(map(str, names), np.split(order, begins[1:])))
    strides = _find_strides(path, {name: (starts + ends)[rows] / 2
                                   for name, rows in rows_of.items()})
    return {name: _to_sequence(f'{path}: video {name}', starts[rows], ends[rows],
                               features[rows].astype(np.float32), strides[name])
            for name, rows in rows_of.items()}


def _find_strides(path: str | Path, middles: dict[str, np.ndarray]) -> dict[str, float]:
    """Frames between two steps by video id, from the middles of their windows.

    A window tells no stride, nor do two, as the second may be out of step: such videos get the
    other videos' stride.
    """
    strides = {name: float(own[1] - own[0]) for name, own in middles.items() if len(own) > 2}
    if short := sorted(middles.keys() - strides.keys()):
        known = sorted(set(strides.values()))
        if len(known) != 1:
            found = ', '.join(f'{stride:g}' for stride in known) or 'no longer video'
            raise ValueError(f'{path}: video {short[0]} has too few steps to tell how many frames '
                             f'apart they are, nor do the longer videos agree on it: {found}. '
                             'Leave it out, or use shorter windows')
        print_log(f'{path}: {len(short)} videos have only one or two steps, e.g. {short[0]}: taken '
                  f'to be {known[0]:g} frames apart, as in the longer videos', logger='current',
                  level=logging.WARNING)
        strides |= dict.fromkeys(short, known[0])
    return strides


def _to_sequence(name: str, starts: np.ndarray, ends: np.ndarray, features: np.ndarray,
                 stride: float) -> FeatureSequence:
    middles = (starts + ends) / 2
    steps = np.diff(middles)
    if len(steps) and steps[-1] < stride:
        steps, features = steps[:-1], features[:-1]
    if stride <= 0 or (steps != stride).any():
        raise ValueError(f'{name} has steps of {stride:g} and {steps[steps != stride][:1]} frames: '
                         'they must be equally far apart')
    return FeatureSequence(features, float(middles[0]), stride, int(ends.max()) + 1)


@DATASETS.register_module()
class FeatureSequenceDataset(HasIMiGUEClasses, BaseDataset):
    """Untrimmed videos as feature sequences, with their segments.

    A sample has ``raw_feature`` ``(T, C)``, ``video_name``, ``first_frame``, ``frame_stride``,
    ``num_frames``, ``segments`` ``(n, 2)`` in frames, both ends included, and ``labels`` ``(n,)``.
    Overlapping segments of one class are kept, and logged.

    Args:
        features (str): Path of the npz, see :func:`read_feature_file`.
        ann_file (str): ``segments.csv`` (``video_id,start_frame,end_frame,class``) of these and
            perhaps of other videos. Defaults to '', no segments.
        pipeline (list[dict or Callable]): Data transforms. Defaults to ().
        videos (list[str] or str, optional): Ids of the videos to use, or a file with one per line.
            Defaults to None, all of the npz.
        data_root (str): Folder that the paths start from. Defaults to ''.
        metainfo (dict, optional): ``classes`` of your own data. Defaults to None, iMiGUE's 32.
        test_mode (bool): Whether for validation or test. Defaults to False.
        lazy_init (bool): Same as mmengine's ``BaseDataset``. Defaults to False.
    """

    def __init__(self, *, features: str, ann_file: str = '',
                 pipeline: Sequence[dict | Callable] = (),
                 videos: Sequence[str] | str | None = None, data_root: str = '',
                 metainfo: dict | None = None, test_mode: bool = False,
                 lazy_init: bool = False) -> None:
        self.features = features
        self.videos = videos
        super().__init__(ann_file=ann_file, data_root=data_root, metainfo=metainfo,
                         data_prefix={}, pipeline=list(pipeline), test_mode=test_mode,
                         serialize_data=False, lazy_init=lazy_init)

    def load_data_list(self) -> list[dict]:
        """Sequences of the chosen videos with their segments.

        Raises:
            ValueError: Errors of :func:`read_feature_file`, :func:`read_segments` and
                :func:`check_segments`, no chosen video, or one without features.
        """
        path = Path(self.data_root, self.features)
        sequences = read_feature_file(path)
        segments = (read_segments(self.ann_file, len(self.metainfo['classes']))
                    if self.ann_file else [])
        chosen = list(sequences) if self.videos is None else self._chosen_videos(self.videos)
        if not chosen:
            raise ValueError(f'videos={self.videos!r} names no video: leave it out to use all')
        if missing := [video_id for video_id in chosen if video_id not in sequences]:
            raise ValueError(f'{path} has no features of {len(missing)} of {len(chosen)} videos, '
                             f'e.g. {missing[0]}')
        own = [segment for segment in segments if segment[0] in set(chosen)]
        lengths = {video_id: sequences[video_id].num_frames for video_id in chosen}
        for line in check_segments(own, lengths, self.ann_file):
            print_log(line, logger='current', level=logging.WARNING)
        return [self._sample(video_id, sequences[video_id],
                             [segment for segment in own if segment[0] == video_id])
                for video_id in chosen]

    def _chosen_videos(self, videos: Sequence[str] | str) -> list[str]:
        if isinstance(videos, str):
            lines = read_text(Path(self.data_root, videos)).splitlines()
            return [line.strip() for line in lines if line.strip()]
        return list(videos)

    @staticmethod
    def _sample(video_id: str, sequence: FeatureSequence, segments: list[tuple]) -> dict:
        return dict(
            video_name=video_id, raw_feature=sequence.features, first_frame=sequence.first_frame,
            frame_stride=sequence.frame_stride, num_frames=sequence.num_frames,
            segments=np.array([segment[1:3] for segment in segments], np.float32).reshape(-1, 2),
            labels=np.array([segment[3] for segment in segments], np.int64))

"""Untrimmed sequences made of cut clips."""
from collections.abc import Callable, Sequence

import numpy as np
from mmaction.registry import DATASETS
from mmengine.dataset import BaseDataset


@DATASETS.register_module()
class JoinedSequenceDataset(BaseDataset):
    """Random untrimmed sequences of joints, joined from a dataset of cut clips.

    For data sets whose training part has no untrimmed videos. The gaps before, between and after
    the clips are background: there the joints move smoothly from the last frame of a clip to the
    first one of the next, in longer gaps through frames of other clips. Each access draws a new
    sequence.

    Args:
        dataset (dict): Config of a :class:`FeatureSequenceDataset` whose sequences are cut clips
            of one segment each, with a step per frame.
        pipeline (list[dict or Callable]): Data transforms after joining. Defaults to ().
        length (int): Sequences per epoch. Defaults to 500.
        clips (tuple[int]): Smallest and largest number of clips. Defaults to (2, 6).
        gap_steps (tuple[int]): Steps of a gap. Defaults to (5, 90).
        path_steps (tuple[int]): Steps from one frame that a gap passes through to the next.
            Defaults to (10, 40).
        part_prob (float): Probability that a gap also holds a piece of a clip, at most a third of
            it, played forwards or backwards: movement that is not a gesture. Defaults to 0.3.
        lazy_init (bool): Same as mmengine's ``BaseDataset``. Defaults to False.
    """

    def __init__(self, *, dataset: dict, pipeline: Sequence[dict | Callable] = (),
                 length: int = 500, clips: tuple[int, int] = (2, 6),
                 gap_steps: tuple[int, int] = (5, 90), path_steps: tuple[int, int] = (10, 40),
                 part_prob: float = .3, lazy_init: bool = False) -> None:
        for name, (low, high) in dict(clips=clips, gap_steps=gap_steps,
                                      path_steps=path_steps).items():
            if not 1 <= low <= high:
                raise ValueError(f'{name} must be (smallest, largest), at least 1, but got '
                                 f'{(low, high)}')
        self.source = DATASETS.build(dataset)
        self.length = length
        self.clips = clips
        self.gap_steps = gap_steps
        self.path_steps = path_steps
        self.part_prob = part_prob
        super().__init__(metainfo=dict(self.source.metainfo), pipeline=list(pipeline),
                         serialize_data=False, lazy_init=lazy_init)

    def load_data_list(self) -> list[dict]:
        """One entry per sequence; what it holds is drawn in :meth:`get_data_info`."""
        return [{} for _ in range(self.length)]

    def get_data_info(self, idx: int) -> dict:
        """Draw a sequence."""
        number = np.random.randint(self.clips[0], self.clips[1] + 1)
        clips = [self._draw() for _ in range(number)]
        parts: list[np.ndarray] = []
        segments = []
        steps = 0
        for before, after in zip([None, *clips], [*clips, None]):
            gap = self._gap(before['raw_feature'][-1] if before else None,
                            after['raw_feature'][0] if after else None)
            parts.append(gap)
            steps += len(gap)
            if after is not None:
                parts.append(after['raw_feature'])
                segments.append((steps, steps + len(parts[-1]) - 1))
                steps += len(parts[-1])
        return dict(
            video_name=f'joined {idx}', raw_feature=np.concatenate(parts), first_frame=0.,
            frame_stride=1., num_frames=steps, sample_idx=idx,
            segments=np.array(segments, np.float32),
            labels=np.array([clip['labels'][0] for clip in clips], np.int64))

    def _draw(self) -> dict:
        clip = self.source.get_data_info(np.random.randint(len(self.source)))
        if len(clip['labels']) != 1:
            raise ValueError(f'clip {clip["video_name"]} must have one segment, but has '
                             f'{len(clip["labels"])}')
        return clip

    def _random_frame(self) -> np.ndarray:
        frames = self._draw()['raw_feature']
        return frames[np.random.randint(len(frames))]

    def _gap(self, first: np.ndarray | None, last: np.ndarray | None) -> np.ndarray:
        """Steps between two frames, both excluded: a smooth path through random frames."""
        wanted = np.random.randint(self.gap_steps[0], self.gap_steps[1] + 1)
        piece = self._piece() if np.random.random() < self.part_prob else None
        first = self._random_frame() if first is None else first
        last = self._random_frame() if last is None else last
        if piece is None or len(piece) + 2 * self.path_steps[0] > wanted:
            return self._path(first, last, wanted)
        before = np.random.randint(self.path_steps[0],
                                   wanted - len(piece) - self.path_steps[0] + 1)
        return np.concatenate([self._path(first, piece[0], before), piece,
                               self._path(piece[-1], last, wanted - len(piece) - before)])

    def _piece(self) -> np.ndarray:
        frames = self._draw()['raw_feature']
        length = min(np.random.randint(2, max(len(frames) // 3, 2) + 1), len(frames))
        start = np.random.randint(len(frames) - length + 1)
        return frames[start:start + length][::np.random.choice([1, -1])]

    def _path(self, first: np.ndarray, last: np.ndarray, steps: int) -> np.ndarray:
        path = []
        while steps > 2 * self.path_steps[1]:
            length = np.random.randint(self.path_steps[0], self.path_steps[1] + 1)
            goal = self._random_frame()
            path.append(_glide(first, goal, length))
            first, steps = goal, steps - length
        return np.concatenate([*path, _glide(first, last, steps)])


def _glide(first: np.ndarray, last: np.ndarray, steps: int) -> np.ndarray:
    time = np.linspace(0, 1, steps + 2, dtype=np.float32)[1:-1, None]
    share = time * time * (3 - 2 * time)  # at rest at both ends
    return (1 - share) * first + share * last

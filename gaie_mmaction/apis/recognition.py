"""Recognizers that take frame ranges of any footage, through the test pipeline of their config."""
import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from mmaction.registry import TRANSFORMS
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope

from ..datasets.video_file import VideoReadError
from ..visualization.overlay import Box, box_in_pixels
from ..visualization.token_map import TokenMap, describe_prediction, record_tokens
from .features import record_features
from .footage import Footage, open_footage
from .model import build_test_dataset, find_class_names, load_recognizer, require_test_part


@dataclass(frozen=True)
class Clip:
    """A frame range of a file; an ``end`` of -1 is the last frame, a ``label`` of -1 unknown."""
    filename: str
    clip_id: str
    start: int = 0
    end: int = -1
    label: int = -1


@contextmanager
def open_clip(clip: Clip) -> Iterator[Footage]:
    """Open the file of a clip; a ``VideoReadError`` then names it."""
    try:
        with open_footage(clip.filename) as footage:
            yield footage
    except VideoReadError as error:
        raise VideoReadError(f'{clip.filename}: {error}') from error


@dataclass(frozen=True)
class Window:
    """What a model makes of the frames ``start`` to ``end``, both included."""
    start: int
    end: int
    scores: np.ndarray  # (classes,), probabilities
    tokens: TokenMap | None  # None without a token reducer
    frame_inds: np.ndarray  # (T,), the frames that the model saw
    box: Box  # the part of the frame that it saw
    size: tuple[int, int]  # H and W of the model's input, pixels
    features: np.ndarray | None  # (C,), what the head sees, mean over positions; if one tensor


class ClipPipeline:
    """The test pipeline of a config, fed with frames of footage that is already open.

    It makes one view, as MMAction2's inferencers do: ``ThreeCrop`` and ``TenCrop`` become a
    centre crop, and networks that take whole clips get the first of several clips.

    Raises:
        ValueError: If there is no such pipeline, or it decodes no frames or needs skeletons.
    """

    def __init__(self, cfg: Config) -> None:
        require_test_part(cfg)
        init_default_scope(cfg.get('default_scope', 'mmaction'))
        steps = copy.deepcopy(list(cfg.test_dataloader.dataset.pipeline))
        names = [step['type'] for step in steps]
        decode = [k for k, name in enumerate(names) if name.endswith('Decode')]
        if len(decode) != 1 or names[-1] != 'PackActionInputs':
            raise ValueError(f'the test pipeline of {cfg.filename} must decode frames and end with '
                             f'PackActionInputs, but its steps are {", ".join(names)}')
        if names[decode[0]].startswith(('MM', 'Pose')):
            raise ValueError(f'{cfg.filename} needs skeletons ({names[decode[0]]}), and a video '
                             'has none: give a config that takes frames alone')
        for step in steps:
            if step['type'] in ('ThreeCrop', 'TenCrop'):
                step['type'] = 'CenterCrop'
            if cfg.model.type == 'Recognizer3D' and 'num_clips' in step:
                step['num_clips'] = 1
        self._sample = Compose([step for step in steps[:decode[0]]
                                if not step['type'].endswith('Init')])
        self._prepare = Compose(steps[decode[0] + 1:-1])
        self._pack = TRANSFORMS.build(steps[-1])

    def __call__(self, footage: Footage, start: int = 0, end: int = -1) -> tuple[dict, dict]:
        """Result of PackActionInputs for a frame range, and all results before it."""
        end = len(footage) - 1 if end == -1 else end
        if not 0 <= start <= end < len(footage):
            raise VideoReadError(f'the range {start}..{end} is outside its {len(footage)} frames '
                                 f'(0..{len(footage) - 1})')
        results = self._sample(dict(
            filename=footage.filename, clip_id=f'{footage.filename}:{start}-{end}', label=-1,
            start_frame=start, end_frame=end, start_index=start, total_frames=end - start + 1,
            avg_fps=footage.fps, modality='RGB', video_reader=footage))
        frame_inds = np.array(results['frame_inds']).reshape(-1)
        results['imgs'] = results.pop('video_reader').read(frame_inds)  # perhaps Taylor frames
        results['original_shape'] = results['img_shape'] = results['imgs'][0].shape[:2]
        results = self._prepare(results)
        results['frame_inds'] = frame_inds
        return self._pack(dict(results)), results


class ClipRecognizer:
    """A recognizer with the weights of a checkpoint (path or URL), test pipeline and class names.

    Errors are those of :func:`load_weights` and :class:`ClipPipeline`.
    """

    def __init__(self, cfg: Config, checkpoint: str, device: str = 'cpu') -> None:
        self.cfg, self.checkpoint = copy.deepcopy(cfg), checkpoint
        self.pipeline = ClipPipeline(self.cfg)
        # probabilities, whether there are several views or one
        self.cfg.model.cls_head.average_clips = 'prob'
        self.model, meta = load_recognizer(self.cfg, checkpoint, device)
        self.classes = find_class_names(meta, self.cfg, self.cfg.model.cls_head.num_classes)
        self.tubelet_size = getattr(self.model.backbone, 'tubelet_size', 1)

    @torch.no_grad()
    def recognize(self, footage: Footage, ranges: Sequence[tuple[int, int]]) -> Iterator[Window]:
        """Recognize frame ranges (first and last frame; -1 is the last one) in turn."""
        for start, end in ranges:
            packed, results = self.pipeline(footage, start, end)
            with record_tokens(self.model) as history, record_features(self.model) as features:
                scores = self.model.test_step(pseudo_collate([packed]))[0].pred_score
            tokens = None
            if history:
                grid = self.model.backbone.token_grid(packed['inputs'])
                tokens = TokenMap.from_history(history, grid)
            left, top, *extent = map(float, results.get('crop_quadruple', (0, 0, 1, 1)))
            yield Window(results['start_frame'], results['end_frame'], scores.float().cpu().numpy(),
                         tokens, results['frame_inds'], (left, top, *extent),
                         tuple(packed['inputs'].shape[-2:]), features[0])

    def recognize_clip(self, clip: Clip) -> tuple[Window, np.ndarray]:
        """Recognize a clip, and return also what the model saw, ``(T', H, W, 3)`` uint8, RGB.

        That is one frame per tubelet, cropped and resized but not normalised.
        """
        with open_clip(clip) as footage:
            window, = self.recognize(footage, [(clip.start, clip.end)])
            frames = footage.read(window.frame_inds[::self.tubelet_size])
        left, top, right, bottom = box_in_pixels(window.box, *frames[0].shape[:2])
        return window, np.stack([
            cv2.resize(frame[top:bottom, left:right], window.size[::-1],
                       interpolation=cv2.INTER_AREA) for frame in frames])

    def describe(self, clip: Clip, window: Window) -> str:
        """One line: the clip, its best class and score, and its label if known."""
        found = describe_prediction(window.scores, clip.label, self.classes.names)
        return f'{clip.clip_id}: {found}'


def read_test_clips(cfg: Config) -> dict[str, Clip]:
    """Clips of ``test_dataloader`` by their id; no video is opened."""
    dataset = build_test_dataset(cfg)
    clips = (dataset.get_data_info(index) for index in range(len(dataset)))
    return {clip['clip_id']: Clip(clip['filename'], clip['clip_id'], clip['start_frame'],
                                  clip['end_frame'], clip['label']) for clip in clips}


def find_clip(cfg: Config, clip_id: str) -> Clip:
    """A clip of ``test_dataloader``; a ValueError if there is none of this id."""
    clips = read_test_clips(cfg)
    if clip_id not in clips:
        raise ValueError(f'clip {clip_id} is not in {cfg.test_dataloader.dataset.ann_file}; the '
                         f'first ids there are {list(clips)[:5]}')
    return clips[clip_id]

"""Running a recognizer over windows of a video, by the test pipeline of its config."""
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from mmaction.models import BaseRecognizer
from mmaction.registry import TRANSFORMS
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate

from ..models.backbones import GAIEVisionTransformer
from ..visualization.overlay import box_in_pixels
from ..visualization.token_map import TokenMap, record_tokens
from .frame_source import Footage


@dataclass(frozen=True)
class Window:
    """What a model says of some frames.

    Attributes:
        start, end (int): First and last frame.
        scores (np.ndarray): ``(classes,)``, probabilities.
        tokens (TokenMap, optional): What its token reducer did; None without one.
        frame_inds (np.ndarray): ``(T,)`` numbers of the frames that the model saw.
        box (tuple[float]): Left, top, width and height of what it saw, as shares of the frame.
    """
    start: int
    end: int
    scores: np.ndarray
    tokens: TokenMap | None
    frame_inds: np.ndarray
    box: tuple[float, float, float, float]


class ClipPipeline:
    """The test pipeline of a config, fed with frames of footage that is already open.

    One view is made, as MMAction2's inferencers do: ``ThreeCrop`` and ``TenCrop`` become a
    centre crop, and of several clips the first is taken (of networks that take whole clips).

    Args:
        cfg (Config): With ``test_dataloader`` and ``model``.

    Raises:
        ValueError: If the pipeline decodes no frames, such as one of skeletons.
    """

    def __init__(self, cfg: Config) -> None:
        steps = copy.deepcopy(list(cfg.test_dataloader.dataset.pipeline))
        names = [step['type'] for step in steps]
        decode = [k for k, name in enumerate(names) if name.endswith('Decode')]
        if len(decode) != 1 or names[-1] != 'PackActionInputs':
            raise ValueError(f'the test pipeline of {cfg.filename} must decode frames and end with '
                             f'PackActionInputs, but its steps are {", ".join(names)}')
        for step in steps:
            if step['type'] in ('ThreeCrop', 'TenCrop'):
                step['type'] = 'CenterCrop'
            if cfg.model.type == 'Recognizer3D' and 'num_clips' in step:
                step['num_clips'] = 1
        before = [step for step in steps[:decode[0]] if not step['type'].endswith('Init')]
        self._sample = Compose(before)
        self._prepare = Compose(steps[decode[0] + 1:-1])
        self._pack = TRANSFORMS.build(steps[-1])

    def __call__(self, footage: Footage, start: int, end: int) -> tuple[dict, dict]:
        """Make the model's input of some frames.

        Args:
            footage (VideoFile or ImageFolder): Where they are.
            start, end (int): First and last frame.

        Returns:
            tuple[dict, dict]: What PackActionInputs gives, and all results before it.

        Raises:
            VideoReadError: If a frame cannot be read.
        """
        results = dict(
            filename=footage.filename, clip_id=f'{footage.filename}:{start}-{end}', label=-1,
            start_frame=start, end_frame=end, start_index=start, total_frames=end - start + 1,
            avg_fps=footage.fps, modality='RGB')
        results = self._sample(results)
        frame_inds = np.array(results['frame_inds']).reshape(-1)
        results['imgs'] = footage.read(frame_inds)
        results['original_shape'] = results['img_shape'] = results['imgs'][0].shape[:2]
        results = self._prepare(results)
        results['frame_inds'] = frame_inds
        return self._pack(dict(results)), results


@torch.no_grad()
def recognize(model: BaseRecognizer, pipeline: ClipPipeline, footage: Footage,
              ranges: Sequence[tuple[int, int]]) -> Iterator[Window]:
    """Run a model over windows.

    Args:
        model (BaseRecognizer): A recognizer in evaluation mode, whose head averages probabilities.
        pipeline (ClipPipeline): Of the same config.
        footage (VideoFile or ImageFolder): The video.
        ranges (Sequence[tuple[int, int]]): First and last frame of each window.

    Yields:
        Window: Of each range, in their order.

    Raises:
        VideoReadError: If a frame cannot be read.
    """
    for start, end in ranges:
        packed, results = pipeline(footage, start, end)
        with record_tokens(model) as history:
            scores = model.test_step(pseudo_collate([packed]))[0].pred_score
        tokens = None
        if history:
            tokens = TokenMap.of(history, _grid(model.backbone, packed['inputs'].shape))
        yield Window(
            start, end, scores.float().cpu().numpy(), tokens, results['frame_inds'],
            tuple(np.asarray(results.get('crop_quadruple', (0, 0, 1, 1)), float)))


def seen_frames(footage: Footage, window: Window, height: int, width: int) -> np.ndarray:
    """The frames of a window as the model saw them, but in their own colours.

    Args:
        footage (VideoFile or ImageFolder): Where they are.
        window (Window): Of it.
        height, width (int): Of the model's input, pixels.

    Returns:
        np.ndarray: ``(T, height, width, 3)`` uint8, RGB.
    """
    frames = []
    for frame in footage.read(window.frame_inds):
        left, top, right, bottom = box_in_pixels(window.box, *frame.shape[:2])
        frames.append(cv2.resize(
            frame[top:bottom, left:right], (width, height), interpolation=cv2.INTER_AREA))
    return np.stack(frames)


def _grid(backbone: GAIEVisionTransformer, shape: Sequence[int]) -> tuple[int, int, int]:
    frames, height, width = shape[-3:]
    patch = backbone.patch_size
    return frames // backbone.tubelet_size, height // patch, width // patch

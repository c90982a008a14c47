"""Transforms of decoded clips."""
import copy
from collections.abc import Callable

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from .base import ShownTransform


@TRANSFORMS.register_module()
class RepeatAugment(ShownTransform):
    """Augment a decoded clip several times, each time anew ("Augment your batch", 1901.09335).

    A clip is decoded once and enters the batch ``num_repeats`` times, as in VideoMAE's finetuning.
    MMAction2's ``RepeatAugDataset`` takes only its own video lists and decord; this transform works
    in every dataset.

    It is the last transform of a pipeline and contains those after the decoding, the packing
    included. The dataloader needs ``collate_fn=dict(type='repeat_pseudo_collate')``, and a batch
    holds ``batch_size * num_repeats`` clips.

    Args:
        transforms (list[dict or Callable]): Applied to each version.
        num_repeats (int): Versions of a clip, at least 1. Defaults to 2.
    """

    def __init__(self, transforms: list[dict | Callable], num_repeats: int = 2) -> None:
        if num_repeats < 1:
            raise ValueError(f'num_repeats must be at least 1, but got {num_repeats}')
        self.transforms = Compose(transforms)
        self.num_repeats = num_repeats

    def transform(self, results: dict) -> list[dict] | None:
        """``num_repeats`` results; None, which asks for another clip, if one of them is None."""
        if 'imgs' not in results and 'keypoint' not in results:
            raise ValueError('RepeatAugment needs imgs or keypoint, but got only '
                             f'{sorted(results)}: put it behind the decoding')
        # a copy each: Flip, for one, writes into the frames
        versions = [self.transforms(copy.deepcopy(results)) for _ in range(self.num_repeats)]
        return None if any(version is None for version in versions) else versions


@TRANSFORMS.register_module()
class SubtractClipMean(BaseTransform):
    """Replace each frame by its difference from the mean of the sampled frames of its view.

    With a fixed camera, what remains is what moves. A network trained from scratch on few clips
    needs it; one with pre-trained weights expects whole frames. Grey 128 stands for no difference,
    and differences beyond 127 are clipped: set ``mean=[128] * 3`` in the data preprocessor. Put it
    after cropping and before ``FormatShape``.
    """

    def transform(self, results: dict) -> dict:
        frames = np.asarray(results['imgs'])
        clip_len = results['clip_len']
        if isinstance(clip_len, dict):  # of frames and skeletons
            clip_len = clip_len['RGB']
        views = frames.reshape(-1, clip_len, *frames.shape[1:])
        mean = views.mean(axis=1, keepdims=True, dtype=np.float32).round().astype(np.int16)
        views = (views - mean + 128).clip(0, 255).astype(np.uint8)
        results['imgs'] = list(views.reshape(frames.shape))
        return results

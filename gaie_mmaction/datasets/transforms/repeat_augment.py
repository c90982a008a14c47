"""Repeated augmentation: several versions of one clip in a batch."""
import copy
from collections.abc import Callable

from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose


@TRANSFORMS.register_module()
class RepeatAugment(BaseTransform):
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

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(num_repeats={self.num_repeats}, '
                f'transforms={self.transforms})')

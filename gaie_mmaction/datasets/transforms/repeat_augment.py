"""Repeated augmentation: several versions of one clip in a batch."""
import copy
from collections.abc import Callable

from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose


@TRANSFORMS.register_module()
class RepeatAugment(BaseTransform):
    """Augment a decoded clip several times, each time anew.

    A clip is decoded once and enters the batch ``num_repeats`` times ("Augment your
    batch", arXiv 1901.09335), as VideoMAE's finetuning does it. MMAction2's
    ``RepeatAugDataset`` does the same for its own video lists and decord alone; this is
    a transform, and so works in every dataset and inside dataset wrappers.

    It is the last transform of a pipeline and holds those that follow the decoding, the
    packing included. What is not random belongs before it, to be done once. A batch
    then holds ``batch_size * num_repeats`` clips, and the dataloader needs
    ``collate_fn=dict(type='repeat_pseudo_collate')``, MMAction2's.

    Required keys: ``imgs`` or ``keypoint``, and what ``transforms`` need.

    Args:
        transforms (list[dict or Callable]): What is done to each version.
        num_repeats (int): Versions of a clip, at least 1. Defaults to 2.

    Raises:
        ValueError: If ``num_repeats`` is below 1.
    """

    def __init__(self,
                 transforms: list[dict | Callable],
                 num_repeats: int = 2) -> None:
        if num_repeats < 1:
            raise ValueError(f'num_repeats must be at least 1, but got {num_repeats}')
        self.transforms = Compose(transforms)
        self.num_repeats = num_repeats

    def transform(self, results: dict) -> list[dict] | None:
        """Augment.

        Args:
            results (dict): A decoded clip; it is left as it is.

        Returns:
            list[dict] or None: ``num_repeats`` results of ``transforms``; None, which asks
            the dataset for another clip, if one of them is None.

        Raises:
            ValueError: If the clip is not decoded yet.
        """
        if 'imgs' not in results and 'keypoint' not in results:
            raise ValueError('RepeatAugment needs imgs or keypoint, but got only '
                             f'{sorted(results)}: put it behind the decoding')
        # each its own copy: Flip, for one, writes into the frames
        versions = [self.transforms(copy.deepcopy(results)) for _ in range(self.num_repeats)]
        return None if any(version is None for version in versions) else versions

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(num_repeats={self.num_repeats}, '
                f'transforms={self.transforms})')

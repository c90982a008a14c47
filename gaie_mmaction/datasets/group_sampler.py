"""Epochs in which no class outweighs the others."""
import math
from collections.abc import Iterator

import torch
from mmaction.registry import DATA_SAMPLERS
from mmengine.dataset import BaseDataset, DefaultSampler


@DATA_SAMPLERS.register_module()
class DataGroupSampler(DefaultSampler):
    """Of a frequent class one group of clips after the other, of a rare one all.

    A training by data groups against unequal classes is named by "Multi-modal Micro-gesture
    Classification via Multi-scale Heterogeneous Ensemble Network" (MiGA-IJCAI 2024), whose
    abstract says no more; the groups are a choice of ours. The clips of a class are put into a
    random order once. An epoch takes the next ``max_clips`` of it, around the end to the start
    again, or all if there are no more. So each clip of a class of n comes at least once in
    ``ceil(n / max_clips)`` epochs, and none twice in one.

    Args:
        dataset (BaseDataset): With ``get_cat_ids``, as of iMiGUE's datasets.
        max_clips (int): Of a class in an epoch, at least 1.
        seed (int, optional): Of groups and order, the same in all processes. Defaults to
            None, a random one.

    Raises:
        ValueError: If ``max_clips`` is below 1, or a clip has no label.
    """

    def __init__(self, dataset: BaseDataset, max_clips: int, seed: int | None = None) -> None:
        super().__init__(dataset, shuffle=True, seed=seed)
        if max_clips < 1:
            raise ValueError(f'max_clips must be at least 1, but got {max_clips}')
        by_class: dict[int, list[int]] = {}
        for idx in range(len(dataset)):
            labels = dataset.get_cat_ids(idx)
            if not labels:
                raise ValueError(f'clip {dataset.get_data_info(idx).get("clip_id", idx)} has no '
                                 'label: DataGroupSampler is for training')
            by_class.setdefault(labels[0], []).append(idx)
        generator = torch.Generator().manual_seed(self.seed)
        self._classes, self._sizes = [], []
        for _, clips in sorted(by_class.items()):
            order = torch.randperm(len(clips), generator=generator)
            self._classes.append(torch.tensor(clips)[order])
            self._sizes.append(min(len(clips), max_clips))
        self.num_samples = math.ceil(sum(self._sizes) / self.world_size)
        self.total_size = self.num_samples * self.world_size

    def __iter__(self) -> Iterator[int]:
        """Places of the clips of this epoch and this process, in random order."""
        groups = [clips[(self.epoch * size + torch.arange(size)) % len(clips)]
                  for clips, size in zip(self._classes, self._sizes)]
        indices = torch.cat(groups)
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        indices = indices[torch.randperm(len(indices), generator=generator)]
        # as DefaultSampler: all processes get as many
        indices = indices.repeat(math.ceil(self.total_size / len(indices)))[:self.total_size]
        return iter(indices[self.rank::self.world_size].tolist())

"""Epochs in which no class outweighs the others."""
import math
from collections.abc import Iterator

import torch
from mmaction.registry import DATA_SAMPLERS
from mmengine.dataset import BaseDataset, DefaultSampler


@DATA_SAMPLERS.register_module()
class DataGroupSampler(DefaultSampler):
    """At most ``max_clips`` clips of each class per epoch, all of them over several epochs.

    M2HEN (MiGA-IJCAI 2024) trains by data groups and gives no details; this grouping is our choice.
    The clips of a class are shuffled once, and each epoch takes the next ``max_clips``, cyclically:
    each clip of a class of n comes at least once in ``ceil(n / max_clips)`` epochs, never twice in
    one.

    Args:
        dataset (BaseDataset): With ``get_cat_ids``, such as iMiGUE's datasets; all clips labelled.
        max_clips (int): Clips per class and epoch, at least 1.
        seed (int, optional): Seed of groups and order, the same in all processes. Defaults to None,
            a random one.
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
                                 f'label: {type(self).__name__} is for training')
            by_class.setdefault(labels[0], []).append(idx)
        self._classes = [torch.tensor(clips) for _, clips in sorted(by_class.items())]
        self._sizes = [self._size(len(clips), max_clips) for clips in self._classes]
        self.num_samples = math.ceil(sum(self._sizes) / self.world_size)
        self.total_size = self.num_samples * self.world_size

    @staticmethod
    def _size(num_clips: int, max_clips: int) -> int:
        """Clips of a class per epoch."""
        return min(num_clips, max_clips)

    def __iter__(self) -> Iterator[int]:
        """Indices of this epoch and process, in random order."""
        generator = torch.Generator().manual_seed(self.seed)  # which a resumed run sets
        shuffled = [clips[torch.randperm(len(clips), generator=generator)]
                    for clips in self._classes]
        indices = torch.cat([clips[(self.epoch * size + torch.arange(size)) % len(clips)]
                             for clips, size in zip(shuffled, self._sizes)])
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        indices = indices[torch.randperm(len(indices), generator=generator)]
        # same as DefaultSampler: an equal number for all processes
        indices = indices.repeat(math.ceil(self.total_size / len(indices)))[:self.total_size]
        return iter(indices[self.rank::self.world_size].tolist())


@DATA_SAMPLERS.register_module()
class ClassBalancedSampler(DataGroupSampler):
    """Equally many clips of each class per epoch, those of small classes repeatedly.

    The class-balanced sampling of "Decoupling Representation and Classifier for Long-Tailed
    Recognition", arXiv 1910.09217, but not at random: over the epochs, all clips of a class come
    equally often, give or take one. Augmentation draws each repetition anew.

    Args:
        dataset (BaseDataset): With ``get_cat_ids``, such as iMiGUE's datasets; all clips labelled.
        clips_per_class (int): Clips per class and epoch, at least 1.
        seed (int, optional): Seed of the order, the same in all processes. Defaults to None, a
            random one.
    """

    def __init__(self, dataset: BaseDataset, clips_per_class: int,
                 seed: int | None = None) -> None:
        if clips_per_class < 1:
            raise ValueError(f'clips_per_class must be at least 1, but got {clips_per_class}')
        super().__init__(dataset, clips_per_class, seed)

    @staticmethod
    def _size(num_clips: int, max_clips: int) -> int:
        return max_clips

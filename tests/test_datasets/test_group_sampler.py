"""Epochs of data groups: every clip comes, and frequent classes do not outweigh."""
from collections import Counter

import pytest

from gaie_mmaction.datasets import ClassBalancedSampler, DataGroupSampler

COUNTS = (1, 7, 10, 25)  # of the classes 0..3


class Labels:
    def __init__(self, labels):
        self.labels = labels

    def __len__(self):
        return len(self.labels)

    def get_cat_ids(self, idx):
        return [] if self.labels[idx] == -1 else [self.labels[idx]]

    def get_data_info(self, idx):
        return dict(clip_id=f'0001_{idx}')


@pytest.fixture
def dataset():
    return Labels([label for label, count in enumerate(COUNTS) for _ in range(count)])


def epochs(sampler, number):
    for epoch in range(number):
        sampler.set_epoch(epoch)
        yield list(sampler)


def test_each_epoch_and_three_of_them(dataset):
    sampler = DataGroupSampler(dataset, max_clips=10, seed=1)
    assert len(sampler) == 28
    seen = Counter()
    for indices in epochs(sampler, 3):
        assert len(indices) == 28 == len(set(indices))
        assert Counter(dataset.labels[k] for k in indices) == {0: 1, 1: 7, 2: 10, 3: 10}
        seen.update(indices)
    assert all(seen[k] == 3 for k in range(18))
    assert all(seen[k] in (1, 2) for k in range(18, 43)) and sum(seen.values()) == 84
    orders = list(epochs(sampler, 2))
    assert orders[0] != orders[1] and orders[0][:18] != sorted(orders[0][:18])
    assert orders == list(epochs(DataGroupSampler(dataset, max_clips=10, seed=1), 2))
    other = DataGroupSampler(dataset, max_clips=10, seed=2)
    assert orders != list(epochs(other, 2))
    other.seed = 1  # as a resumed training sets it
    assert orders == list(epochs(other, 2))


def test_processes_share_the_group(dataset, monkeypatch):
    whole = list(DataGroupSampler(dataset, max_clips=10, seed=1))
    parts = []
    for rank in range(3):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, 3))
        sampler = DataGroupSampler(dataset, max_clips=10, seed=1)
        parts.append(list(sampler))
        assert len(parts[-1]) == len(sampler) == 10  # 28 clips and two again
    together = [parts[k % 3][k // 3] for k in range(30)]
    assert together == whole + whole[:2]


def test_classes_are_balanced(dataset):
    sampler = ClassBalancedSampler(dataset, clips_per_class=10, seed=1)
    assert len(sampler) == 40
    seen = Counter()
    for indices in epochs(sampler, 5):
        assert Counter(dataset.labels[k] for k in indices) == {0: 10, 1: 10, 2: 10, 3: 10}
        seen.update(indices)
    for label, count in enumerate(COUNTS):
        times = [seen[k] for k in range(len(dataset)) if dataset.labels[k] == label]
        assert sum(times) == 50 and max(times) - min(times) == (50 % count > 0)


def test_bad_input(dataset):
    with pytest.raises(ValueError, match='clips_per_class must be at least 1, but got 0'):
        ClassBalancedSampler(dataset, clips_per_class=0)
    with pytest.raises(ValueError, match='max_clips must be at least 1, but got 0'):
        DataGroupSampler(dataset, max_clips=0)
    dataset.labels[4] = -1
    with pytest.raises(ValueError, match='clip 0001_4 has no label'):
        DataGroupSampler(dataset, max_clips=5)
    with pytest.raises(ValueError, match='ClassBalancedSampler is for training'):
        ClassBalancedSampler(dataset, clips_per_class=5)

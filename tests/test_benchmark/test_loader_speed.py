"""Speed of loading, on synthetic footage."""
import numpy as np
import pytest

from gaie_mmaction.benchmark.loading import measure_loading
from gaie_mmaction.datasets import VideoFile
from gaie_mmaction.datasets.annotations import read_annotations
from gaie_mmaction.synthetic.footage import make_footage


def test_footage_is_loaded_by_both_readers(tmp_path):
    make_footage(tmp_path, seconds=5, num_clips=2)
    with VideoFile(tmp_path / 'videos/footage.mp4') as video:
        assert len(video) == 150 and video.fps == 30 and len(video._table.keys) == 1
        first, last = video.read([0, 149])
    assert first.shape == (720, 1280, 3)
    difference = np.abs(first.astype(float) - last).mean(-1)
    assert 1 < difference[:100].mean() < 8 < difference.max()  # grain on the wall, and movement
    whole, cut = (read_annotations(str(tmp_path / f'trainval.{kind}'), 32)
                  for kind in ('csv', 'txt'))
    for clips, folder in ((whole, 'videos'), (cut, 'clips')):
        found = measure_loading(clips, tmp_path / folder, rounds=1)
        assert found.pop('differing') == 0
        assert found['ratio'] > 0 and all(value > 0 for value in found.values())
    with pytest.raises(ValueError, match='seconds must be at least 5, but got 4'):
        make_footage(tmp_path, seconds=4)

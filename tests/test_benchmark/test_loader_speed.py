"""Speed of loading, on synthetic footage."""
from unittest.mock import Mock

import numpy as np
import pytest

pytest.importorskip('decord', reason='decord has no wheel for this system')

from gaie_mmaction.benchmark import loading  # noqa: E402
from gaie_mmaction.datasets import VideoFile  # noqa: E402
from gaie_mmaction.datasets.annotations import read_annotations  # noqa: E402
from gaie_mmaction.synthetic.footage import make_footage  # noqa: E402


def test_footage_is_loaded_by_both_readers(tmp_path, monkeypatch):
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
        found = loading.measure_loading(clips, tmp_path / folder, rounds=1)
        assert found.pop('differing') == 0
        assert found['ratio'] > 0 and all(value > 0 for value in found.values())
    zeros = np.zeros((loading.CLIP_LEN, 720, 1280, 3), np.uint8)
    decode = Mock(**{'return_value.get_batch.return_value.asnumpy.return_value': zeros})
    monkeypatch.setattr(loading.decord, 'VideoReader', decode)
    assert loading.measure_loading(cut[:1], tmp_path / 'clips', 1)['differing'] == loading.CLIP_LEN
    with pytest.raises(ValueError, match='seconds must be at least 5, but got 4'):
        make_footage(tmp_path, seconds=4, num_clips=2)

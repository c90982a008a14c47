"""Weights of regions, against counting pixels."""
import numpy as np
import pytest

from gaie_mmaction.apis import region_survival as rs


def test_weights_against_pixels():
    rng = np.random.default_rng(0)
    for _ in range(30):
        x0, x1 = np.sort(rng.choice(201, 2, replace=False))
        y0, y1 = np.sort(rng.choice(101, 2, replace=False))
        left, top = int(rng.integers(0, 40)), int(rng.integers(0, 40))
        # 4 x 6 cells of 15 x 20 pixels, seen of a frame of 100 x 200
        image = np.zeros((100, 200))
        image[y0:y1, x0:x1] = 1
        seen = image[top:top + 60, left:left + 120]
        expected = seen.reshape(4, 15, 6, 20).mean(axis=(1, 3))
        found = rs.region_weights(
            (x0, y0, x1, y1), (left / 200, top / 100, .6, .6), (100, 200), (4, 6))
        assert found == pytest.approx(expected)


def test_survival_by_hand():
    weights = np.array([[1., .5], [0., 0.]])
    kept = np.zeros((2, 2, 2), bool)
    kept[0, 0] = True  # 1.5 of 3
    kept[:, 1] = True  # outside of the region
    assert rs.survival([np.ones_like(kept), kept], weights).tolist() == [1, .5]


def test_interval_covers_the_mean():
    values = np.random.default_rng(0).normal(.4, .1, 200)
    low, high = rs.confidence_interval(values)
    assert low < values.mean() < high
    assert rs.confidence_interval(values[:1]) == (values[0], values[0])
    assert high - low == pytest.approx(2 * 1.96 * .1 / np.sqrt(200), rel=.2)


def test_regions_file(tmp_path):
    path, good = tmp_path / 'regions.csv', 'clip_id,x0,y0,x1,y1\n0001_0,1,2,3,4\n'
    path.write_text(good)
    assert rs.read_regions(path) == {'0001_0': (1, 2, 3, 4)}
    path.write_text(good + '0001_1,3,2,3,4\n')
    with pytest.raises(ValueError, match='line 3: needs numbers with x0 < x1'):
        rs.read_regions(path)
    path.write_text(good + good.splitlines()[1] + '\n')
    with pytest.raises(ValueError, match='line 3: clip 0001_0 was already given'):
        rs.read_regions(path)
    path.write_text('clip_id,x,y,w,h\n')
    with pytest.raises(ValueError, match='must have the header clip_id,x0'):
        rs.read_regions(path)

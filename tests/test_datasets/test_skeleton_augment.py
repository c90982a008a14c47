"""Augmentation of skeletons by values."""
import numpy as np
import pytest

from gaie_mmaction.datasets import SkeletonJitter, SkeletonResample


@pytest.fixture(autouse=True)
def seed():
    np.random.seed(0)


def ramp(frames, joints=4, channels=3):
    """Every value grows by 1 a frame."""
    start = np.random.rand(2, 1, joints, channels)
    return (start + np.arange(frames)[:, None, None]).astype(np.float32)


@pytest.mark.parametrize('frames', [1, 2, 7, 64])
def test_the_whole_clip_is_interpolated(frames):
    clip = ramp(frames)
    results = SkeletonResample(clip_len=16).transform(dict(keypoint=clip))
    assert (results['clip_len'], results['num_clips']) == (16, 1)
    found = results['keypoint']
    assert found.shape == (2, 16, 4, 3) and found.dtype == np.float32
    expected = clip[:, :1] + np.linspace(0, frames - 1, 16)[:, None, None]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_crops_are_runs_of_the_clip():
    clip = ramp(41)
    begins, shares = [], []
    for _ in range(200):
        found = SkeletonResample(clip_len=8, crop_range=(.5, .9)).transform(
            dict(keypoint=clip))['keypoint']
        steps = np.diff(found, axis=1)
        np.testing.assert_allclose(steps, steps[0, 0, 0, 0], atol=1e-4)  # even ones
        begins.append(found[0, 0, 0, 0] - clip[0, 0, 0, 0])
        shares.append(steps.mean() * 7 / 40)
        assert 0 <= begins[-1] and begins[-1] + shares[-1] * 40 <= 40 + 1e-4
    assert .5 <= min(shares) < .55 and .85 < max(shares) <= .9 + 1e-4
    assert min(begins) < 1 and max(begins) > 12


@pytest.mark.parametrize('num_coords', [2, 3])
def test_rotation_keeps_lengths(num_coords):
    clip = np.random.randn(1, 5, 4, 3).astype(np.float32)
    clip[0, 2, 1] = 0  # missing
    found = SkeletonJitter(num_coords, rotation=1.).transform(
        dict(keypoint=clip.copy()))['keypoint']
    mine, theirs = (values[..., :num_coords].reshape(-1, num_coords) for values in (found, clip))
    np.testing.assert_allclose(mine @ mine.T, theirs @ theirs.T, atol=1e-4)
    assert not np.allclose(mine, theirs) and not found[0, 2, 1].any()
    if num_coords == 2:
        np.testing.assert_array_equal(found[..., 2], clip[..., 2])  # the score


def test_scale_and_noise():
    clip = np.ones((1, 300, 4, 3), np.float32)
    clip[:, :, 3] = 0
    found = SkeletonJitter(2, rotation=0, scale=.5).transform(dict(keypoint=clip))['keypoint']
    assert ((found == found[0, 0, 0])[:, :, :3]).all() and not found[:, :, 3].any()
    x, y, score = found[0, 0, 0]
    assert score == 1 and x != y and .5 <= min(x, y) and max(x, y) <= 1.5
    found = SkeletonJitter(3, rotation=0, noise=.1).transform(dict(keypoint=clip))['keypoint']
    assert (found - clip)[:, :, :3].std() == pytest.approx(.1, rel=.1)
    assert not found[:, :, 3].any()


@pytest.mark.parametrize('build, message', [
    (lambda: SkeletonResample(8, crop_range=(.9, .5)), r'got \(0.9, 0.5\)'),
    (lambda: SkeletonResample(8, crop_range=(0, 1)), r'in \(0, 1\]'),
    (lambda: SkeletonJitter(4), 'must be 2 or 3, but got 4'),
    (lambda: SkeletonJitter(2, scale=1), 'but got 0.3, 0.0 and 1')])
def test_bad_input(build, message):
    with pytest.raises(ValueError, match=message):
        build()

"""A keypoint stays on its pixel and at its time: squares drawn around joints tell."""
import numpy as np
import pytest
from drawn_skeleton import GREY, HALF, make_release
from mmaction.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import Compose

from gaie_mmaction.datasets import SKELETON_LAYOUTS

MIRROR = np.array(SKELETON_LAYOUTS['imigue'].mirror)
BASES = ['configs/_base_/datasets/imigue_rgbpose.py', 'configs/_base_/datasets/imigue_rgbgraph.py']
LENGTHS = (13, 40, 150)  # shorter than a clip of frames, than one of skeletons, longer than both
MISSING = 12


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('drawn')
    make_release(folder, LENGTHS, missing=(MISSING, ))
    return folder


def make_dataset(root, folder, base, part):
    """The config's pipeline up to the mirror, and what follows but for the packing."""
    cfg = Config.fromfile(root / base)
    dataset = cfg[f'{part}_dataloader'].dataset
    types = [step.type for step in dataset.pipeline]
    end = types.index('MaskMissingJoints' if part == 'test' else 'SkeletonFlip') + 1
    rest = dataset.pipeline[end:-1]
    dataset.update(data_root=str(folder), ann_file='train.csv', data_prefix=dict(video=''),
                   pipeline=dataset.pipeline[:end], test_mode=part == 'test')
    if part == 'test':
        dataset.pipeline[types.index('MMSharedSampleFrames')].num_clips = 2
    return DATASETS.build(dataset), rest


def square_at(image, point, scale):
    """Brightness of the pixel under a point, and the middle of the square around it, or None."""
    x, y = point
    left, top = int(x), int(y)
    # the pixels of this square alone: cells leave a gap between squares
    reach_x, reach_y = (np.ceil((HALF + 1.5) * scale)).astype(int)
    if (min(left - reach_x, top - reach_y) < 0 or left + reach_x >= image.shape[1]
            or top + reach_y >= image.shape[0]):
        return None
    window = image[top - reach_y:top + reach_y + 1, left - reach_x:left + reach_x + 1, 0]
    grey = image[top, left, 0]
    ys, xs = np.nonzero(window > grey / 2)
    middle = xs.mean() + left - reach_x + .5, ys.mean() + top - reach_y + .5
    return grey, middle


@pytest.mark.parametrize('part', ['train', 'test'])
@pytest.mark.parametrize('base', BASES)
def test_joints_stay_on_their_pixels(root, folder, base, part):
    dataset, _ = make_dataset(root, folder, base, part)
    seen, flips, views = 0, set(), set()
    for seed in range(8 if part == 'train' else 1):
        np.random.seed(seed)
        for clip in range(len(LENGTHS)):
            result = dataset[clip]
            step = result['clip_len']['Pose'] // result['clip_len']['RGB']
            flip = bool(result.get('flip', False))
            expected = GREY[MIRROR] if flip else GREY
            flips.add(flip)
            views.add(tuple(result['crop_bbox']))
            keypoint = result['keypoint'][:, ::step]  # of the moments of the frames
            assert len(result['imgs']) == keypoint.shape[1]
            gone = MIRROR[MISSING] if flip else MISSING
            assert not result['keypoint'][0, :, gone].any()
            assert not result['keypoint_score'][0, :, gone].any()
            for image, joints in zip(result['imgs'], keypoint[0]):
                for joint, point in enumerate(joints):
                    if joint == gone:
                        continue
                    found = square_at(image, point, result['scale_factor'])
                    if found is None:  # cut off
                        continue
                    grey, middle = found
                    assert abs(int(grey) - expected[joint]) <= 3, (clip, joint, flip)
                    np.testing.assert_allclose(middle, point, atol=1)
                    seen += 1
    assert seen > 1000
    assert flips == ({False, True} if part == 'train' else {False})
    assert len(views) > 10 or part == 'test'


@pytest.mark.parametrize('part', ['train', 'test'])
def test_heatmaps_peak_at_the_joints(root, folder, part):
    dataset, rest = make_dataset(root, folder, BASES[0], part)
    np.random.seed(0)
    result = dataset[2]
    views, joints = result['num_clips'], result['keypoint'][0].copy()
    result = Compose(rest)(result)
    assert result['imgs'].shape == (views, 3, 8, 224, 224)
    assert result['heatmap_imgs'].shape == (views, 22, 32, 56, 56)
    maps = result['heatmap_imgs'].transpose(0, 2, 1, 3, 4).reshape(-1, 22, 56, 56)
    inside = 0
    for frame in range(len(maps)):
        for joint, (x, y) in enumerate(joints[frame] / 4):
            if (x, y) == (0, 0):
                assert not maps[frame, joint].any()
            elif 1 < min(x, y) and max(x, y) < 55:
                peak = np.unravel_index(maps[frame, joint].argmax(), (56, 56))
                np.testing.assert_allclose(peak, (y, x), atol=.51)
                inside += 1
    assert inside > 300


def test_graph_input_is_normalised_by_the_crop(root, folder):
    dataset, rest = make_dataset(root, folder, BASES[1], 'train')
    np.random.seed(1)
    result = dataset[1]
    joints, score = result['keypoint'][0].copy(), result['keypoint_score'][0].copy()
    result = Compose(rest)(result)
    assert result['imgs'].shape == (1, 3, 16, 224, 224)
    assert result['keypoint'].shape == (1, 1, 96, 22, 3)
    missing = ~joints.any(axis=-1)
    assert missing.sum() == 96
    expected = np.where(missing[..., None], 0, joints / 112 - 1)
    np.testing.assert_allclose(result['keypoint'][0, 0, ..., :2], expected, atol=1e-5)
    np.testing.assert_array_equal(result['keypoint'][0, 0, ..., 2], score)

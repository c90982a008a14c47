"""Streams, filling, mirror, box and heat-maps of skeletons."""
import numpy as np
import pytest
from mmaction.datasets import transforms as mmaction_transforms
from skeleton_file import make_clip

from gaie_mmaction.datasets import SKELETON_LAYOUTS, SkeletonLayout
from gaie_mmaction.datasets.transforms.skeleton import (
    FillMissingJoints,
    SkeletonCompact,
    SkeletonFlip,
    SkeletonHeatmap,
    SkeletonStream,
)

LAYOUT = SKELETON_LAYOUTS['imigue']
STREAMS = {'joint': 'j', 'bone': 'b', 'joint-motion': 'jm', 'bone-motion': 'bm'}


@pytest.fixture
def clip():
    return dict(make_clip('0001_0'), clip_id='0001_0', modality='Pose', start_index=0)


def copy(clip):
    return {key: value.copy() if isinstance(value, np.ndarray) else value
            for key, value in clip.items()}


def miss(clip, frames, joint):
    clip['keypoint'][0, frames, joint] = clip['keypoint_score'][0, frames, joint] = 0


@pytest.mark.parametrize('stream', STREAMS)
def test_streams_are_upstreams_on_a_layout_that_it_knows(stream, monkeypatch):
    """COCO's bones, as JointToBone has them, as a layout of ours."""
    bones = ((1, 0), (2, 0), (3, 1), (4, 2), (5, 0), (6, 0), (7, 5), (8, 6), (9, 7), (10, 8),
             (11, 0), (12, 0), (13, 11), (14, 12), (15, 13), (16, 14))
    monkeypatch.setitem(SKELETON_LAYOUTS, 'coco', SkeletonLayout(
        tuple('abcdefghijklmnopq'), bones, 0, range(1, 17, 2), range(2, 17, 2)))
    random = np.random.default_rng(0)
    clip = dict(keypoint=random.uniform(1, 100, (2, 9, 17, 2)).astype(np.float32),
                keypoint_score=random.uniform(.1, 1, (2, 9, 17)).astype(np.float32),
                img_shape=(90, 160))
    ours = SkeletonStream(stream, 'coco').transform(copy(clip))
    normalised = mmaction_transforms.PreNormalize2D().transform(clip)
    upstream = mmaction_transforms.GenSkeFeat('coco', [STREAMS[stream]]).transform(normalised)
    np.testing.assert_allclose(ours['keypoint'], upstream['keypoint'], atol=1e-6)
    assert ours['keypoint'].dtype == np.float32 and 'keypoint_score' not in ours


@pytest.mark.parametrize('stream', STREAMS)
def test_streams_by_plain_loops(clip, stream):
    random = np.random.default_rng(1)
    missing = random.random(clip['keypoint_score'].shape) < .2
    clip['keypoint'][missing] = 0
    joints, scores = clip['keypoint'].copy(), clip['keypoint_score'].copy()
    found = SkeletonStream(stream).transform(clip)['keypoint']

    def point(frame, joint):
        if frame == 24 or missing[0, frame, joint]:
            return None
        x, y = joints[0, frame, joint]
        return np.array((2 * x / 224 - 1, 2 * y / 168 - 1, scores[0, frame, joint]))

    def between(start, end):
        """The vector, and the mean of the scores."""
        if start is None or end is None:
            return None
        return np.array((*(end - start)[:2], (start[2] + end[2]) / 2))

    def value(frame, joint):
        if not stream.startswith('bone'):
            return point(frame, joint)
        return between(point(frame, dict(LAYOUT.edges).get(joint, joint)), point(frame, joint))

    for frame, joint in np.ndindex(24, 22):
        expected = value(frame, joint)
        if stream.endswith('motion'):
            expected = between(expected, value(frame + 1, joint))
        np.testing.assert_allclose(found[0, frame, joint], 0 if expected is None else expected,
                                   atol=1e-5)


def test_normalised_by_the_real_frame_size(clip):
    small = SkeletonStream().transform(copy(clip))['keypoint']
    clip['keypoint'] *= 5
    clip['img_shape'] = (840, 1120)
    np.testing.assert_allclose(SkeletonStream().transform(clip)['keypoint'], small, atol=1e-5)
    assert np.abs(small[..., :2]).max() < 1
    del clip['img_shape']
    with pytest.raises(KeyError):  # and no size that nobody gave
        SkeletonStream().transform(dict(clip, keypoint_score=np.ones((1, 24, 22))))


def test_filling_lies_between_neighbours(clip):
    miss(clip, slice(5, 8), 7)
    miss(clip, slice(0, 3), 12)
    miss(clip, slice(20, 24), 12)
    miss(clip, slice(None), 3)
    before = copy(clip)
    filled = FillMissingJoints().transform(clip)
    joint, score = filled['keypoint'][0], filled['keypoint_score'][0]
    for step, frame in enumerate((5, 6, 7), start=1):
        for new, old in ((joint, before['keypoint'][0]), (score, before['keypoint_score'][0])):
            np.testing.assert_allclose(
                new[frame, 7], old[4, 7] + (old[8, 7] - old[4, 7]) * step / 4, rtol=1e-5)
    np.testing.assert_array_equal(joint[:3, 12], np.repeat(joint[3:4, 12], 3, axis=0))
    np.testing.assert_array_equal(joint[20:, 12], np.repeat(joint[19:20, 12], 4, axis=0))
    assert not joint[:, 3].any() and not score[:, 3].any()
    there = before['keypoint'].any(axis=-1)
    np.testing.assert_array_equal(filled['keypoint'][there], before['keypoint'][there])
    assert filled['keypoint'].dtype == np.float32


def test_mirror_swaps_the_sides_and_is_its_own_inverse(clip):
    miss(clip, slice(2, 5), 4)
    before = copy(clip)
    once = SkeletonFlip(1.).transform(clip)
    for left, right in zip(LAYOUT.left, LAYOUT.right):
        seen = before['keypoint'][0, :, right].any(axis=-1)
        np.testing.assert_allclose(once['keypoint'][0, seen, left, 0],
                                   224 - before['keypoint'][0, seen, right, 0], rtol=1e-6)
        np.testing.assert_array_equal(once['keypoint_score'][0, :, left],
                                      before['keypoint_score'][0, :, right])
    assert not once['keypoint'][0, 2:5, 7].any()  # the missing right wrist is the left one now
    twice = SkeletonFlip(1.).transform(copy(once))
    np.testing.assert_allclose(twice['keypoint'], before['keypoint'], atol=1e-4)
    # bones of the mirror image are mirrored bones
    bones = [SkeletonStream('bone').transform(copy(one))['keypoint'] for one in (before, once)]
    np.testing.assert_allclose(bones[1], bones[0][:, :, LAYOUT.mirror] * (-1, 1, 1), atol=1e-5)


def test_mirror_takes_the_frames_along(clip):
    frame = np.zeros((168, 224, 3), np.uint8)
    frame[:, :10] = 255
    clip['imgs'] = [frame.copy() for _ in range(24)]
    clip = SkeletonFlip(1.).transform(clip)
    assert (clip['imgs'][5][:, -10:] == 255).all() and not clip['imgs'][5][:, :-10].any()
    clip = SkeletonStream().transform(clip)  # and frames do not disturb the stream
    assert len(clip['imgs']) == 24 and clip['keypoint'].shape == (1, 24, 22, 3)
    assert not SkeletonFlip(0.).transform(dict(clip))['flip']


@pytest.mark.parametrize('padding', [0., .25, 1.])
def test_box_is_upstreams(clip, monkeypatch, padding):
    monkeypatch.setattr(np, 'Inf', np.inf, raising=False)  # gone in NumPy 2, and MMAction2 needs it
    miss(clip, slice(2, 5), 4)
    clip['imgs'] = list(np.random.default_rng(0).integers(0, 256, (24, 168, 224, 3), np.uint8))
    ours = SkeletonCompact(padding).transform(copy(clip))
    for compact in (mmaction_transforms.PoseCompact, mmaction_transforms.MMCompact):
        upstream = compact(padding, hw_ratio=1., allow_imgpad=True).transform(copy(clip))
        np.testing.assert_allclose(ours['keypoint'], upstream['keypoint'], atol=1e-4)
        assert ours['img_shape'] == tuple(upstream['img_shape']) == ours['imgs'][0].shape[:2]
    np.testing.assert_array_equal(ours['imgs'], upstream['imgs'])  # which PoseCompact does not crop


def test_box_of_nothing_is_the_frame(clip):
    tiny = dict(clip, keypoint=clip['keypoint'] * .01)
    assert SkeletonCompact().transform(tiny)['img_shape'] == (168, 224)
    clip['keypoint'][:] = 0
    assert SkeletonCompact().transform(clip)['img_shape'] == (168, 224)
    with pytest.raises(ValueError, match='clip 0001_0 has no joint.*on_missing'):
        SkeletonCompact(on_missing='raise').transform(clip)
    with pytest.raises(ValueError, match='padding must be at least 0, but got -1'):
        SkeletonCompact(-1)
    with pytest.raises(ValueError, match="'keep' or 'raise', but got 'skip'"):
        SkeletonCompact(on_missing='skip')


@pytest.mark.parametrize('seed', range(20))
def test_crop_never_cuts_a_joint(seed):
    """The box is over the whole clip, and every joint keeps its pixel."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(60, 200, 2)
    frames = rng.integers(1, 256, (5, height, width, 3), np.uint8)
    low, size = rng.uniform(-10, 30, 2), rng.uniform(10, 90, 2)
    keypoint = (low + size * rng.random((1, 5, 22, 2))).astype(np.float32)  # also out of the frame
    keypoint[rng.random((1, 5, 22)) < .3] = 0
    keypoint[0, 0, :2] = low, low + size
    results = SkeletonCompact().transform(dict(
        clip_id='a', keypoint=keypoint.copy(), imgs=list(frames), img_shape=(height, width)))
    shape, visible = np.array(results['img_shape']), keypoint.any(axis=-1)
    moved = results['keypoint'][visible]
    assert (moved >= 0).all() and (moved < shape[::-1]).all() and abs(shape[0] - shape[1]) <= 1
    assert (results['keypoint'][~visible] == 0).all()
    for (_, frame, _), (x, y), (new_x, new_y) in zip(
            np.argwhere(visible), np.floor(keypoint[visible] + 1e-3).astype(int),
            np.floor(moved + 1e-3).astype(int)):
        inside = 0 <= x < width and 0 <= y < height
        expected = frames[frame, y, x] if inside else np.zeros(3)
        assert (results['imgs'][frame][new_y, new_x] == expected).all()


@pytest.mark.parametrize('kind, maps', [('joint', 22), ('limb', 21)])
def test_heatmaps(kind, maps):
    clip = dict(make_clip('0001_0', frames=3), modality='Pose')
    miss(clip, slice(None), 12)
    tips = LAYOUT.edges.index((12, 7)) if kind == 'limb' else 12
    drawn = SkeletonHeatmap(kind, double=True).transform(copy(clip))['imgs']
    assert drawn.shape == (6, maps, 168, 224)
    plain, mirrored = drawn[:3], drawn[3:]
    expected = mmaction_transforms.GeneratePoseTarget(
        with_kp=kind == 'joint', with_limb=kind == 'limb',
        skeletons=LAYOUT.edges).transform(copy(clip))['imgs']
    np.testing.assert_array_equal(plain, expected)
    assert [k for k in range(maps) if not plain[:, k].any()] == [tips]
    # those of the mirrored skeleton: a pixel to the side, as its mirror lies at the edge
    flipped = SkeletonHeatmap(kind).transform(SkeletonFlip(1.).transform(copy(clip)))['imgs']
    np.testing.assert_allclose(mirrored[..., :-1], flipped[..., 1:], atol=2e-2)
    frames = SkeletonHeatmap(kind).transform(dict(copy(clip), imgs=[0]))
    assert frames['imgs'] == [0] and frames['heatmap_imgs'].shape == (3, maps, 168, 224)


def test_bad_arguments_and_layouts(clip):
    for transform, argument in ((SkeletonStream, 'stream'), (SkeletonHeatmap, 'kind')):
        with pytest.raises(ValueError, match=f"{argument} must be .*, but got 'velocity'"):
            transform('velocity')
    few = dict(clip, keypoint=clip['keypoint'][:, :, :17])
    for transform in (SkeletonStream(), SkeletonFlip(), SkeletonHeatmap()):
        with pytest.raises(ValueError, match="17 joints, but the layout 'imigue' has 22"):
            transform.transform(dict(few))

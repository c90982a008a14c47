"""Skeletons as plain arrays: the same as the pickle's, and files that are wrong."""
import pickle
import zipfile

import numpy as np
import pytest
from drawn_skeleton import make_release
from mmaction.registry import DATASETS
from mmengine.registry import init_default_scope
from skeleton_file import make_clip, write_skeletons

from gaie_mmaction.datasets import (
    IMiGUEMultiModalDataset,
    IMiGUEPoseDataset,
    read_skeleton_npz,
    write_skeleton_npz,
)

IDS = ['0001_1', '0001_0', '0002_0']


@pytest.fixture
def clips():
    return [make_clip(clip_id, label, 20 + label, label) for label, clip_id in enumerate(IDS)]


@pytest.fixture
def arrays(tmp_path, clips):
    """What a good file holds."""
    return dict(np.load(write(tmp_path / 'good.npz', clips, train=IDS, val=IDS[:1])))


def write(path, clips, **splits):
    write_skeleton_npz(path, dict(split=splits, annotations=clips))
    return str(path)


def load(path, split='train', **arguments):
    init_default_scope('mmaction')
    return IMiGUEPoseDataset(ann_file=str(path), split=split, pipeline=[], **arguments)


def same(one, other):
    """Equal in value, type, dtype and every bit."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert set(one) == set(other)
        for key in one:
            same(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for first, second in zip(one, other):
            same(first, second)
    elif isinstance(one, np.ndarray):
        assert (one.dtype.str, one.shape) == (other.dtype.str, other.shape)
        assert one.tobytes() == other.tobytes()
    else:
        assert one == other


def random_content(random):
    """Any lengths, persons, joints and dtypes, and any bits, those of NaN and -0 too."""
    joints = int(random.integers(1, 30))
    dtypes = [np.dtype(random.choice(['<f2', '<f4', '<f8', '>f4'])) for _ in range(2)]

    def bits(dtype, *shape):
        return np.frombuffer(random.bytes(int(np.prod(shape)) * dtype.itemsize), dtype).reshape(
            shape)

    annotations = []
    for place in range(random.integers(0, 9)):
        persons, frames = random.integers(0, 4), random.integers(0, 12)
        clip = dict(
            frame_dir=f'é_{place}' * int(random.integers(1, 9)), label=int(random.integers(-1, 99)),
            total_frames=int(frames), img_shape=tuple(random.integers(1, 2000, 2).tolist()),
            keypoint=bits(dtypes[0], persons, frames, joints, 2),
            keypoint_score=bits(dtypes[1], persons, frames, joints))
        annotations.append(clip)
    if random.random() < .5:
        for clip in annotations:
            clip['original_shape'] = tuple(random.integers(1, 2000, 2).tolist())
    ids = [clip['frame_dir'] for clip in annotations]
    split = {f's{k}': random.permutation(ids)[:random.integers(0, 9)].tolist()
             for k in range(random.integers(0, 4))}
    return dict(split=split, annotations=annotations)


@pytest.mark.parametrize('seed', range(60))
def test_round_trip_keeps_every_bit(tmp_path, seed):
    content = random_content(np.random.default_rng(seed))
    write_skeleton_npz(tmp_path / 's.npz', content)
    same(read_skeleton_npz(str(tmp_path / 's.npz')), content)


def test_same_items_as_from_the_pickle(tmp_path, clips):
    clips[0]['keypoint'][0, 3:6, 12] = 0
    write_skeletons(tmp_path / 's.pkl', clips, train=IDS[::-1], val=IDS[:1])
    write(tmp_path / 's.NPZ', clips, train=IDS[::-1], val=IDS[:1])
    for split in ('train', 'val'):
        pickled, plain = (load(tmp_path / name, split) for name in ('s.pkl', 's.NPZ'))
        assert len(pickled) == len(plain) > 0
        for k in range(len(pickled)):
            same(pickled[k], plain[k])


def test_same_items_with_frames(tmp_path):
    clips = make_release(tmp_path, (9, 12, 10))
    write(tmp_path / 'skeleton.npz', clips, train=[clip['frame_dir'] for clip in clips])
    init_default_scope('mmaction')
    pickled, plain = (DATASETS.build(dict(
        type=IMiGUEMultiModalDataset, data_root=str(tmp_path), ann_file='train.csv',
        skeleton_file=name, pipeline=[])) for name in ('skeleton.pkl', 'skeleton.npz'))
    assert len(pickled) == len(plain) == 3
    for k in range(3):
        same(pickled[k], plain[k])


def nan(clips):
    clips[1]['keypoint'][0, 3, 5, 1] = np.nan


def infinite_score(clips):
    clips[1]['keypoint_score'][0, 3, 5] = np.inf


def fewer_joints(clips):
    for clip in clips:
        clip.update(keypoint=clip['keypoint'][:, :, :17],
                    keypoint_score=clip['keypoint_score'][:, :, :17])


def integers(clips):
    for clip in clips:
        clip['keypoint'] = clip['keypoint'].astype(np.int32)


def empty(clips):
    clips[1]['keypoint'][:] = 0


def no_frames(clips):
    clips[1].update(total_frames=0, keypoint=clips[1]['keypoint'][:, :0],
                    keypoint_score=clips[1]['keypoint_score'][:, :0])


def twice(clips):
    clips[1]['frame_dir'] = IDS[0]


def no_size(clips):
    clips[1]['img_shape'] = (0, 0)


def high_label(clips):
    clips[1]['label'] = 32


@pytest.mark.parametrize('spoil, said', [
    (nan, 'clip 0001_0 has values that are not finite'),
    (infinite_score, 'clip 0001_0 has values that are not finite'),
    (fewer_joints, "clip 0001_1 has 17 joints, but the layout 'imigue' has 22"),
    (integers, 'clip 0001_1 has values that are not finite .*, or no floats'),
    (no_frames, 'clip 0001_0 needs keypoint'),
    (empty, '1 clips of the split train have no joint in any frame: 0001_0'),
    (twice, 'clip 0001_1 occurs twice'),
    (no_size, r'img_shape \(H, W\) must be positive'),
    (high_label, 'clip 0001_0: label must be in 0..31')])
def test_clips_are_checked_as_the_pickle_s(tmp_path, clips, spoil, said):
    spoil(clips)
    path = write(tmp_path / 's.npz', clips, train=IDS)
    with pytest.raises(ValueError, match=said) as error:
        load(path)
    assert path in str(error.value)


def test_splits_are_checked_as_the_pickle_s(tmp_path, clips):
    path = write(tmp_path / 's.npz', clips, train=[*IDS, '0009_0'], none=[])
    with pytest.raises(ValueError, match='1 clips of the split train have no annotation: 0009_0'):
        load(path)
    with pytest.raises(ValueError, match=r"no split 'val', only \['none', 'train'\]"):
        load(path, 'val')
    with pytest.raises(ValueError, match='the split none holds no clip'):
        load(path, 'none')
    with pytest.raises(FileNotFoundError, match='nothing.npz does not exist'):
        load(tmp_path / 'nothing.npz')


@pytest.mark.parametrize('changes, said', [
    (dict(original_shape=np.ones((2, 2), int)), r'original_shape has the shape \(2, 2\), but '
     r'needs \(3, 2\)'),
    (dict(label=np.zeros(4, int)), r'label has the shape \(4,\), but needs \(3,\)'),
    (dict(img_shape=np.ones((3, 3), int)), r'img_shape has the shape \(3, 3\)'),
    (dict(total_frames=np.array([20, 21, 23])), r'keypoint has the shape \(63, 22, 2\), but needs '
     r'\(64, 22, 2\)'),
    (dict(num_persons=np.array([1, 1, 2])), r'keypoint has the shape \(63, 22, 2\)'),
    (dict(num_persons=np.array([1, 1, -1])), 'num_persons holds -1; it must be in 0..2147483647'),
    (dict(total_frames=np.array([20, 21, 2**60])), 'total_frames holds 1152921504606846976'),
    (dict(keypoint=np.ones((63, 22, 3), np.float32)), r'keypoint has the shape \(63, 22, 3\), but '
     r'needs \(63, 22, 2\)'),
    (dict(keypoint_score=np.ones((62, 22), np.float32)), r'keypoint_score has the shape \(62, 22'),
    (dict(keypoint_score=np.ones((63, 21), np.float32)), r'keypoint_score has the shape \(63, 21'),
    (dict(split_sizes=np.array([3, 2])), r'split_members has the shape \(4,\), but needs \(5,\)'),
    (dict(split_sizes=np.array([4])), r'split_sizes has the shape \(1,\), but needs \(2,\)'),
    (dict(split_names=np.array(['a', 'a'])), 'split_names holds a name twice'),
    (dict(label=np.zeros(3)), r'label must be an array of integers with 1 dim.* is float64 \(3,\)'),
    (dict(frame_dir=np.arange(3)), 'frame_dir must be an array of texts with 1 dimensions'),
    (dict(keypoint=np.array(['a'])), 'keypoint must be an array of numbers with 3 dimensions')])
def test_arrays_that_do_not_fit(tmp_path, arrays, changes, said):
    path = str(tmp_path / 's.npz')
    np.savez(path, **dict(arrays, **changes))
    with pytest.raises(ValueError, match=said) as error:
        load(path)
    assert path in str(error.value)


def test_every_array_is_needed(tmp_path, arrays):
    path = str(tmp_path / 's.npz')
    for name in set(arrays) - {'original_shape'}:
        np.savez(path, **{key: value for key, value in arrays.items() if key != name})
        with pytest.raises(ValueError, match=f's.npz lacks the array {name}: it is no file'):
            load(path)
    np.savez(path, **{key: value for key, value in arrays.items() if key != 'original_shape'})
    assert 'original_shape' not in load(path)[0]


class Payload:
    """Makes a folder when its pickle is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return self.path.mkdir, ()


def test_object_arrays_are_refused_and_run_nothing(tmp_path, arrays):
    path, victim = str(tmp_path / 's.npz'), tmp_path / 'victim'
    for name in arrays:
        objects = np.array([Payload(victim)], dtype=object)
        np.savez(path, **dict(arrays, **{name: objects}))
        with pytest.raises(ValueError, match=f's.npz, array {name} .* cannot be read: Object arr'):
            load(path)
    (tmp_path / 's.npz').write_bytes(pickle.dumps(Payload(victim)))
    with pytest.raises(ValueError, match='cannot be read: it is no complete zip archive'):
        load(path)
    with zipfile.ZipFile(path, 'w') as file:
        for name in arrays:
            file.writestr(f'{name}.npy', pickle.dumps(Payload(victim)))
    with pytest.raises(ValueError, match='frame_dir must be an array of texts'):
        load(path)
    assert not victim.exists()


def test_files_cut_off_anywhere(tmp_path, clips):
    path = tmp_path / 's.npz'
    content = (write(path, clips, train=IDS), path.read_bytes())[1]
    for size in np.linspace(0, len(content) - 1, 40).astype(int):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r's.npz.* cannot be read: .* damaged or incomplete'):
            load(path)


def test_damage_is_an_error_or_harms_nothing(tmp_path, clips):
    """Bits of values are covered by the archive's checksums."""
    path, random = tmp_path / 's.npz', np.random.default_rng(0)
    write(path, clips, train=IDS)
    good, content = read_skeleton_npz(str(path)), path.read_bytes()
    refused = 0
    for place in random.integers(0, len(content), 150):
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        try:
            same(read_skeleton_npz(str(path)), good)
        except ValueError as error:
            assert 's.npz' in str(error)
            refused += 1
    assert refused > 100


def key_missing(clips):
    del clips[2]['label']


def key_more(clips):
    clips[2]['modality'] = 'Pose'


def joints_differ(clips):
    fewer_joints(clips[1:])


def dtypes_differ(clips):
    clips[1]['keypoint_score'] = clips[1]['keypoint_score'].astype(np.float64)


def length_differs(clips):
    clips[1]['total_frames'] += 1


def listed(clips):
    clips[1]['keypoint_score'] = clips[1]['keypoint_score'].tolist()


def flat(clips):
    clips[1]['keypoint'] = clips[1]['keypoint'][0]


def not_a_text(clips):
    clips[1]['frame_dir'] = 7


def half_label(clips):
    clips[1]['label'] = 1.5


def odd_shape(clips):
    clips[1]['img_shape'] = (1, 2, 3)


@pytest.mark.parametrize('spoil, said', [
    (key_missing, 'annotation 2 must have frame_dir, .* but has frame_dir'),
    (key_more, 'annotation 2 must have .* modality'),
    (joints_differ, r'clip 0001_0 has float32 \(1, 21, 17, 2\) in keypoint, but the first clip'),
    (dtypes_differ, 'clip 0001_0 has float64 .* in keypoint_score, but the first clip float32'),
    (length_differs, 'clip 0001_0 has 21 frames in keypoint, but total_frames is 22'),
    (listed, 'clip 0001_0 needs keypoint .* but its keypoint_score is a list'),
    (flat, r'clip 0001_0 needs keypoint .* but its keypoint is float32 \(21, 22, 2\)'),
    (not_a_text, 'frame_dir holds 7, no text'),
    (half_label, 'label holds 1.5, no integer'),
    (odd_shape, r'clip 0001_0: img_shape must be \(H, W\), but is \(1, 2, 3\)')])
def test_what_no_array_holds_is_not_written(tmp_path, clips, spoil, said):
    spoil(clips)
    (tmp_path / 's.npz').write_text('before')
    with pytest.raises(ValueError, match=f's.npz cannot be written: {said}'):
        write(tmp_path / 's.npz', clips, train=IDS)
    assert (tmp_path / 's.npz').read_text() == 'before' and len(list(tmp_path.iterdir())) == 1

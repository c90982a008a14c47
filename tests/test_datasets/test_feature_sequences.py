"""Feature files, segment files, and the datasets and transforms of untrimmed sequences."""
import numpy as np
import pytest
from mmaction.registry import DATASETS, TRANSFORMS

from gaie_mmaction.datasets import FeatureSequenceDataset, feature_sequences, read_feature_file
from gaie_mmaction.datasets.segment_file import read_segments, write_segments


def write_features(path, videos, channels=6, window=8, stride=4, seed=0, **changes):
    """Windows of ``window`` frames, ``stride`` apart; the last one ends with the video."""
    rows = [(name, start) for name, frames in videos.items()
            for start in [*range(0, frames - window, stride), frames - window]]
    starts = np.array([start for _, start in rows])
    features = np.random.default_rng(seed).normal(size=(len(rows), channels)).astype(np.float32)
    arrays = dict(videos=np.array([name for name, _ in rows]), start_frames=starts,
                  end_frames=starts + window - 1, features=features)
    order = np.random.default_rng(1).permutation(len(rows))  # a file may have any order
    np.savez(path, **{key: value[order] for key, value in arrays.items()} | changes)
    return {name: features[[row[0] == name for row in rows]] for name in videos}


def test_feature_file(tmp_path):
    written = write_features(tmp_path / 'f.npz', dict(a=28, b=30))
    found = read_feature_file(tmp_path / 'f.npz')
    assert (found['a'].first_frame, found['a'].frame_stride, found['a'].num_frames) == (3.5, 4, 28)
    assert np.array_equal(found['a'].features, written['a'])
    # the last window is two frames after the one before: out of step
    assert np.array_equal(found['b'].features, written['b'][:-1]) and found['b'].num_frames == 30


def test_videos_too_short_to_have_a_stride(tmp_path, monkeypatch):
    """One or two windows: the stride is the longer videos', said in the log, or an error."""
    lines = []
    monkeypatch.setattr(feature_sequences, 'print_log', lambda line, **_: lines.append(line))
    write_features(tmp_path / 'f.npz', dict(a=28, one=8, short=10, two=12))
    found = read_feature_file(tmp_path / 'f.npz')
    assert {name: (one.frame_stride, len(one.features), one.num_frames)
            for name, one in found.items()} == dict(
        a=(4, 6, 28), one=(4, 1, 8), short=(4, 1, 10), two=(4, 2, 12))
    line, = lines
    assert '3 videos have only one or two steps, e.g. one: taken to be 4 frames apart' in line
    write_features(tmp_path / 'f.npz', dict(one=8, two=12))
    with pytest.raises(ValueError, match='video one has too few steps.* no longer video'):
        read_feature_file(tmp_path / 'f.npz')
    starts = np.array([0, 4, 8, 0, 2, 4, 0])
    np.savez(tmp_path / 'f.npz', videos=[*'aaabbbc'], start_frames=starts, end_frames=starts + 7,
             features=np.zeros((7, 2)))
    with pytest.raises(ValueError, match='video c has too few steps.*: 2, 4. Leave'):
        read_feature_file(tmp_path / 'f.npz')


def test_file_that_is_no_npz(tmp_path):
    path = tmp_path / 'f.npz'
    with pytest.raises(FileNotFoundError, match='f.npz'):
        read_feature_file(path)
    write_features(path, dict(a=9), window=4, stride=2)
    whole = path.read_bytes()
    for content in (b'', b'text', b'PK' + whole[2:200], whole[:-50]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match='f.npz cannot be read .*extract_features.py'):
            read_feature_file(path)


@pytest.mark.parametrize('changes, message', [
    (dict(features=np.full((12, 6), np.nan)), 'of video [ab] are not finite'),
    (dict(features=np.zeros((3, 6))), 'one row per step'),
    (dict(end_frames=np.full(12, -1)), 'bare clip list'),
    (dict(start_frames=np.arange(12)**2, end_frames=np.arange(12)**2 + 4), 'equally far apart')])
def test_wrong_feature_file(tmp_path, changes, message):
    write_features(tmp_path / 'f.npz', dict(a=28, b=28), **changes)
    with pytest.raises(ValueError, match=message):
        read_feature_file(tmp_path / 'f.npz')
    np.savez(tmp_path / 'f.npz', features=np.zeros((3, 2)))
    with pytest.raises(ValueError, match='lacks videos, start_frames, end_frames'):
        read_feature_file(tmp_path / 'f.npz')


@pytest.mark.parametrize('score', [(), (.25, )])
def test_segment_file(tmp_path, score):
    segments = [('a', 0, 5, 3, *score), ('b', 7, 7, 0, *score)]
    write_segments(tmp_path / 's.csv', segments)
    assert read_segments(tmp_path / 's.csv', 4) == segments
    for line, message in (('a,5,4,0', 'line 2'), ('a,0,x,0', 'invalid literal'),
                          ('a,0,4,4', r'class in 0..3'), ('a,0,4', 'line 2')):
        (tmp_path / 's.csv').write_text(f'video_id,start_frame,end_frame,class\n{line}\n')
        with pytest.raises(ValueError, match=message):
            read_segments(tmp_path / 's.csv', 4)


def build(folder, segments, **options):
    write_features(folder / 'f.npz', dict(a=28, b=30))
    write_segments(folder / 's.csv', segments)
    return FeatureSequenceDataset(features='f.npz', ann_file='s.csv', data_root=str(folder),
                                  metainfo=dict(classes=['x', 'y']), **options)


def test_dataset(tmp_path):
    dataset = build(tmp_path, [('a', 3, 9, 1), ('a', 12, 27, 0)])
    assert len(dataset) == 2 and dataset.metainfo['classes'] == ['x', 'y']
    first, second = dataset.get_data_info(0), dataset.get_data_info(1)
    assert first['segments'].tolist() == [[3, 9], [12, 27]] and first['labels'].tolist() == [1, 0]
    assert second['segments'].shape == (0, 2) and second['video_name'] == 'b'
    (tmp_path / 'part.txt').write_text('b\n')
    assert len(build(tmp_path, [('a', 3, 9, 1)], videos='part.txt')) == 1
    with pytest.raises(ValueError, match=r'videos=\[\] names no video'):
        build(tmp_path, [], videos=[])


def test_segments_that_do_not_fit(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"\('a', 3, 28, 1\) ends outside its video.*0..27"):
        build(tmp_path, [('a', 3, 28, 1)])
    with pytest.raises(ValueError, match='no features of 1 of 2 videos, e.g. c'):
        build(tmp_path, [], videos=['a', 'c'])
    lines = []
    monkeypatch.setattr(feature_sequences, 'print_log', lambda line, **_: lines.append(line))
    kept = build(tmp_path, [('a', 3, 9, 1), ('a', 8, 12, 1), ('a', 8, 12, 0)])
    assert len(kept.get_data_info(0)['segments']) == 3
    line, = lines
    assert 'segments 3-9 and 8-12 of class 1 overlap in video a; both are kept' in line


def test_joined_sequences(tmp_path):
    """A clip is found whole where its segment says; nowhere does a joint jump in a gap."""
    lengths = dict(a=20, b=30, c=25)
    write_features(tmp_path / 'f.npz', lengths, window=1, stride=1)
    write_segments(tmp_path / 's.csv', [(name, 0, length - 1, label)
                                        for label, (name, length) in enumerate(lengths.items())])
    source = dict(type='FeatureSequenceDataset', features='f.npz', ann_file='s.csv',
                  data_root=str(tmp_path), metainfo=dict(classes=['x', 'y', 'z']))
    dataset = DATASETS.build(dict(type='JoinedSequenceDataset', dataset=source, length=20,
                                  gap_steps=(5, 60), part_prob=0.))
    clips = [sample['raw_feature'] for sample in map(DATASETS.build(source).get_data_info,
                                                     range(3))]
    spread = max(np.abs(a[:, None] - b).max() for a in clips for b in clips)
    for k in range(20):
        sample = dataset.get_data_info(k)
        feature, end = sample['raw_feature'], -1
        assert len(feature) == sample['num_frames']
        for (start, last), label in zip(sample['segments'].astype(int), sample['labels']):
            assert np.array_equal(feature[start:last + 1], clips[label]) and start - end - 1 >= 5
            assert np.abs(np.diff(feature[end + 1:start], axis=0)).max() <= spread / 2
            end = last
    # every gap has room for a piece of a clip
    sample = DATASETS.build(dict(
        type='JoinedSequenceDataset', dataset=source, length=1, gap_steps=(60, 60),
        path_steps=(10, 10), part_prob=1.)).get_data_info(0)
    frames = {frame.tobytes() for clip in clips for frame in clip}
    for start, _ in sample['segments'].astype(int):
        known = [frame.tobytes() in frames for frame in sample['raw_feature'][start - 60:start]]
        assert any(a and b for a, b in zip(known, known[1:]))
    write_features(tmp_path / 'f.npz', dict(a=1, b=1, c=9), window=1, stride=1)
    write_segments(tmp_path / 's.csv', [(name, 0, 0, 0) for name in 'abc'])
    short = DATASETS.build(dict(type='JoinedSequenceDataset', dataset=source, part_prob=1.))
    for _ in range(20):  # a clip of one frame has pieces of one frame
        assert short.get_data_info(0)['num_frames'] > 1
    write_features(tmp_path / 'f.npz', lengths, window=1, stride=1)
    write_segments(tmp_path / 's.csv', [(name, k, k, 0) for name in 'abc' for k in (0, 5)])
    with pytest.raises(ValueError, match='clip [abc] must have one segment, but has 2'):
        DATASETS.build(dict(type='JoinedSequenceDataset', dataset=source)).get_data_info(0)
    with pytest.raises(ValueError, match='gap_steps must be'):
        DATASETS.build(dict(type='JoinedSequenceDataset', dataset=source, gap_steps=(5, 4)))


def sample_of(feature, segments=((10, 19), (40, 49)), stride=1.):
    return dict(raw_feature=np.asarray(feature, np.float32), first_frame=0., frame_stride=stride,
                num_frames=len(feature), segments=np.array(segments, np.float32),
                labels=np.arange(len(segments)))


def test_time_scale_keeps_segments_on_their_content():
    ramp = np.arange(60.)[:, None]
    for _ in range(20):
        found = TRANSFORMS.build(dict(type='RandomTimeScale', scale=(.5, 2.)))(sample_of(ramp))
        for (start, _), content in zip(found['segments'], (10, 40)):
            assert found['raw_feature'][round(float(start)), 0] == pytest.approx(content, abs=1.1)
        assert found['num_frames'] == len(found['raw_feature'])


def test_crop():
    crop = TRANSFORMS.build(dict(type='SequenceCrop', max_steps=30))
    segments = ((10, 19), (22, 22), (25, 26), (40, 49))
    for _ in range(20):
        found = crop(sample_of(np.arange(60.)[:, None], segments))
        first = int(found['raw_feature'][0, 0])
        assert found['first_frame'] == first and len(found['raw_feature']) == 30
        inside = [[frame for frame in range(start, end + 1) if first <= frame < first + 30]
                  for start, end in segments]
        assert list(zip(found['labels'].tolist(), found['segments'].tolist())) == [
            (k, [frames[0], frames[-1]]) for k, (frames, (start, end)) in enumerate(
                zip(inside, segments)) if 2 * len(frames) >= end - start + 1]


def test_crop_cuts_no_gesture_at_the_ends_of_the_sequence():
    """The first of 20 steps describes frames 0 to 31, the last one 152 to 183."""
    segments = ((2, 12), (0, 60), (160, 183), (175, 183))
    crop = TRANSFORMS.build(dict(type='SequenceCrop', max_steps=19))
    for _ in range(20):
        sample = dict(sample_of(np.arange(20.)[:, None], segments, stride=8.), first_frame=15.5)
        found = crop(sample)
        cut_at_the_end = found['raw_feature'][0, 0] == 0
        assert found['segments'].tolist() == (
            [[2, 12], [0, 60]] if cut_at_the_end else [[23.5, 60], [160, 183], [175, 183]])


def test_joints():
    """Features of joints do not depend on place and size; a rotation keeps distances."""
    joints = np.random.default_rng(0).normal(size=(60, 12)).cumsum(axis=0)
    motion = TRANSFORMS.build(dict(type='JointMotion', stride=2, lag=2))
    moved = (joints.reshape(60, 4, 3) * 3 + [5, 6, 7]).reshape(60, 12)
    plain, other = motion(sample_of(joints)), motion(sample_of(moved))
    np.testing.assert_allclose(plain['raw_feature'], other['raw_feature'], atol=1e-4)
    assert plain['raw_feature'].shape == (30, 24) and plain['frame_stride'] == 2
    size = np.linalg.norm(joints.reshape(60, 4, 3)[:, 1:] - joints[:, None, :3], axis=2).mean()
    assert plain['raw_feature'][5, 15:18] == pytest.approx(
        (joints[12, 3:6] - joints[12, :3] - joints[8, 3:6] + joints[8, :3]) / size, abs=1e-4)
    turned = TRANSFORMS.build(dict(type='RandomJointTransform', noise=0, scale=(1, 1)))(
        sample_of(joints))['raw_feature'].reshape(60, 4, 3)
    plain = joints.reshape(60, 4, 3)
    assert not np.allclose(turned, plain, atol=.01)
    np.testing.assert_allclose(np.linalg.norm(turned[:, 1:] - turned[:, :1], axis=2),
                               np.linalg.norm(plain[:, 1:] - plain[:, :1], axis=2), rtol=1e-4)
    with pytest.raises(ValueError, match='3 coordinates per joint, but 11'):
        motion(sample_of(joints[:, :11]))

"""The skeletons of a prepared release, and files that are wrong."""
import pickle

import numpy as np
import pytest
import torch
from evaluating import evaluate, write_annotations
from hostile import attack
from mmaction.datasets import PoseDataset
from mmaction.registry import DATASETS
from mmengine.dataset import ClassBalancedDataset
from skeleton_file import cut, make_clip, write_skeletons

from gaie_mmaction.datasets import IMIGUE_CLASSES, SKELETON_LAYOUTS, IMiGUEPoseDataset

IDS = ['0001_1', '0001_0', '0002_0']


@pytest.fixture
def clips():
    return [make_clip(clip_id, label, 20 + label, label) for label, clip_id in enumerate(IDS)]


def load(path, split='train', **arguments):
    return IMiGUEPoseDataset(ann_file=str(path), split=split, pipeline=[], **arguments)


def test_clips_in_the_order_of_the_split(tmp_path, clips):
    path = write_skeletons(tmp_path / 's.pkl', clips, train=IDS[::-1], val=IDS[:1])
    dataset = load('s.pkl', data_root=str(tmp_path))
    assert [dataset[k]['clip_id'] for k in range(3)] == IDS[::-1] and len(load(path, 'val')) == 1
    first = dataset[0]
    assert (first['label'], first['total_frames'], first['modality']) == (2, 22, 'Pose')
    np.testing.assert_array_equal(first['keypoint'], clips[2]['keypoint'])
    np.testing.assert_array_equal(first['keypoint_score'], clips[2]['keypoint_score'])
    first['keypoint'][:] = 0  # what a transform does to it does not come back
    assert dataset[0]['keypoint'].any()
    assert dataset.metainfo['classes'] == IMIGUE_CLASSES and 'ann_file' not in dataset.metainfo
    assert [load(path, indices=[1])[0]['clip_id']] == [IDS[1]]
    upstream = PoseDataset(path, [], split='train')
    assert len(upstream) == 3
    for theirs in upstream:  # which reads the same
        ours = next(one for one in load(path) if one['clip_id'] == theirs['frame_dir'])
        np.testing.assert_array_equal(theirs['keypoint'], ours['keypoint'])


def test_missing_joints_have_no_score(tmp_path, clips):
    clips[0]['keypoint'][0, 3:6, 12] = 0
    found = load(write_skeletons(tmp_path / 's.pkl', clips))[0]
    assert not found['keypoint_score'][0, 3:6, 12].any()
    assert found['keypoint_score'][0, 6:, 12].all()


def test_classes_for_balancing(tmp_path, clips):
    clips[1]['label'] = -1
    dataset = load(write_skeletons(tmp_path / 's.pkl', clips), lazy_init=True)
    assert [dataset.get_cat_ids(k) for k in range(3)] == [[0], [], [2]]
    clips[1]['label'] = 2
    dataset = load(write_skeletons(tmp_path / 's.pkl', clips * 1, train=IDS))
    balanced = ClassBalancedDataset(dataset, oversample_thr=.6)
    assert len(balanced) == 4  # the one clip of class 0 twice: sqrt(0.6 * 3), rounded up


def test_own_classes(tmp_path, clips):
    path = write_skeletons(tmp_path / 's.pkl', clips)
    dataset = load(path, metainfo=dict(classes=['a', 'b', 'c']))
    assert dataset.metainfo['classes'] == ['a', 'b', 'c'] and 'codes' not in dataset.metainfo
    with pytest.raises(ValueError, match=r'clip 0002_0: label must be in 0..1, .* but got 2'):
        load(path, metainfo=dict(classes=['a', 'b']))


def test_size_as_an_array(tmp_path, clips):
    for clip in clips:
        clip['img_shape'] = np.array(clip['img_shape'])
    assert len(load(write_skeletons(tmp_path / 's.pkl', clips))) == 3


def put(key, place, value):
    """What changes one value of an array of a clip."""
    return lambda clip: clip[key].__setitem__(place, value) or {}


EMPTY = put('keypoint', ..., 0)


@pytest.mark.parametrize('change, said', [
    (put('keypoint', (0, 3, 5, 1), np.nan), 'clip 0001_0 has values that are not finite'),
    (put('keypoint_score', (0, 3, 5), np.inf), 'clip 0001_0 has values that are not finite'),
    (cut(joints=17), "clip 0001_0 has 17 joints, but the layout 'imigue' has 22"),
    (lambda clip: dict(total_frames=22), 'clip 0001_0 needs keypoint .* total_frames = 22'),
    (lambda clip: dict(keypoint=clip['keypoint'][0]),
     r'clip 0001_0 needs keypoint .* has \(21, 22, 2\)'),
    (lambda clip: dict(keypoint=clip['keypoint'].tolist()), 'clip 0001_0 needs keypoint'),
    (lambda clip: dict(cut(frames=0)(clip), total_frames=0), 'clip 0001_0 needs keypoint'),
    (EMPTY, '1 of 3 clips of the split train of .* have no joint .*: 0001_0.* leave them out'),
    (lambda clip: dict(frame_dir=IDS[0]), 'clip 0001_1 occurs twice'),
    (lambda clip: clip.pop('label') and {}, r"annotation 1 lacks \['label'\]"),
    (lambda clip: dict(label='0'), "clip 0001_0: label must be an integer, but is '0'"),
    (lambda clip: dict(total_frames=None), 'clip 0001_0: total_frames must be an integer, but is'),
    *[(lambda clip, sides=sides: dict(img_shape=sides),
       rf'clip 0001_0: img_shape must be two positive integers \(H, W\), but is {said}')
      for sides, said in (((0, 0), r'\(0, 0\)'), (None, 'None'), ((48, ), r'\(48,\)'))],
])
def test_bad_clips(tmp_path, clips, change, said):
    ids = [clip['frame_dir'] for clip in clips]
    clips[1].update(change(clips[1]))
    path = str(tmp_path / 's.pkl')
    write_skeletons(tmp_path / 's.pkl', clips, train=ids)
    with pytest.raises(ValueError, match=said) as error:
        load(path)
    assert path in str(error.value)


def test_bad_files(tmp_path, clips):
    path = write_skeletons(tmp_path / 's.pkl', clips, train=[*IDS, '0009_0'], none=[],
                           twice=[*IDS, IDS[1]])
    with pytest.raises(ValueError, match='1 clips occur more than once in the split twice: 0001_0'):
        load(path, 'twice')
    with pytest.raises(ValueError, match='1 clips of the split train have no annotation: 0009_0'):
        load(path)
    with pytest.raises(ValueError, match=r"no split 'xsub_val', only \['none', 'train', 'twice'\]"):
        load(path, 'xsub_val')
    with pytest.raises(ValueError, match='the split none holds no clip'):
        load(path, 'none')
    for content, said in (([], 'not a skeleton file'), (clips, 'not a skeleton file'),
                          (dict(split=[], annotations=clips), 'not a skeleton file'),
                          (attack(tmp_path / 'victim'), 'refused and nothing of it was run')):
        (tmp_path / 'other.pkl').write_bytes(pickle.dumps(content))
        with pytest.raises(ValueError, match=f'other.pkl is {said}'):
            load(tmp_path / 'other.pkl')
    assert not (tmp_path / 'victim').exists()
    with pytest.raises(FileNotFoundError, match='nothing.pkl does not exist'):
        load(tmp_path / 'nothing.pkl')
    with pytest.raises(ValueError, match="layout must be one of"):
        load(path, layout='coco')


@pytest.fixture
def warnings(monkeypatch):
    said = []
    monkeypatch.setattr('gaie_mmaction.datasets.imigue_pose_dataset.print_log',
                        lambda text, **_: said.append(text))
    return said


def test_clips_without_joints_may_be_tested(tmp_path, clips, warnings):
    EMPTY(clips[1])
    path = write_skeletons(tmp_path / 's.pkl', clips, test=IDS)
    assert len(load(path, 'test', test_mode=True)) == 3
    assert len(warnings) == 1 and '1 of 3 clips of the split test' in warnings[0]
    assert warnings[0].count('0001_0') == 1


def test_swapped_hands_are_found(tmp_path, clips, warnings):
    load(write_skeletons(tmp_path / 's.pkl', clips))
    assert warnings == []
    layout = SKELETON_LAYOUTS['imigue']
    swapped = list(range(22))
    swapped[12:17], swapped[17:22] = swapped[17:22], swapped[12:17]
    for clip in clips[:2]:  # video 0001
        clip['keypoint'] = clip['keypoint'][:, :, swapped]
    load(write_skeletons(tmp_path / 's.pkl', clips))
    assert len(warnings) == 1 and '1 of 2 videos' in warnings[0] and 'swapped: 0001.' in warnings[0]
    # a whole mirror image has its hands where they belong
    clips = [dict(clip, keypoint=clip['keypoint'][:, :, layout.mirror]) for clip in clips[2:]]
    load(write_skeletons(tmp_path / 's.pkl', clips))
    assert len(warnings) == 1


def test_leaderboard_file_of_the_unlabelled_part(tmp_path, clips):
    """The metric finds all clips of the part in the csv beside the pickle."""
    for clip in clips:
        clip['label'] = -1
    write_skeletons(tmp_path / 'skeleton.pkl', clips, test=IDS)
    write_annotations(tmp_path / 'test.csv', IDS)
    pipeline = [dict(type='SkeletonStream'), dict(type='UniformSampleFrames', clip_len=8),
                dict(type='PoseDecode'), dict(type='FormatGCNInput', num_person=1),
                dict(type='PackActionInputs', meta_keys=('clip_id', ))]
    dataset = DATASETS.build(dict(
        type='IMiGUEPoseDataset', data_root=str(tmp_path), ann_file='skeleton.pkl', split='test',
        pipeline=pipeline, test_mode=True))
    assert dataset.metainfo['ann_file'] == str(tmp_path / 'test.csv')
    samples = [dataset[k] for k in range(3)]
    assert samples[0]['inputs'].shape == (1, 1, 8, 22, 3)
    assert samples[0]['inputs'].dtype == torch.float32
    ids = [sample['data_samples'].clip_id for sample in samples]
    scores = np.eye(32, dtype=np.float32)[[4, 5, 6]]
    out = tmp_path / 'prediction.csv'
    assert evaluate(ids, scores, [-1] * 3, meta=dataset.metainfo, out_file=str(out)) == {}
    assert out.read_text().split() == ['Id,Target', '0001_0,5', '0001_1,4', '0002_0,6']
    with pytest.raises(ValueError, match='1 of 3 clips of .*test.csv have no prediction'):
        evaluate(ids[:2], scores[:2], [-1] * 2, meta=dataset.metainfo, out_file=str(out))

"""Frames and skeletons of the same clips, and sources that do not fit together."""
import numpy as np
import pytest
from drawn_skeleton import make_release
from mmaction.datasets import MMUniformSampleFrames
from mmaction.registry import DATASETS
from mmengine.dataset import ClassBalancedDataset
from numbered_video import HEIGHT, WIDTH
from skeleton_file import cut, write_skeletons

from gaie_mmaction.datasets import IMIGUE_CLASSES, SKELETON_LAYOUTS
from gaie_mmaction.datasets.transforms import MMSharedSampleFrames, SkeletonFlip

PIPELINE = [dict(type='ClipInit'),
            dict(type='MMSharedSampleFrames', clip_len=dict(RGB=4, Pose=8), test_mode=True),
            dict(type='MMClipDecode')]
IDS = ['0001_0', '0001_1', '0001_2']


@pytest.fixture
def clips(tmp_path):
    return make_release(tmp_path, (9, 12, 10))


def load(folder, **changes):
    cfg = dict(type='IMiGUEMultiModalDataset', data_root=str(folder), ann_file='train.csv',
               skeleton_file='skeleton.pkl', pipeline=PIPELINE)
    return DATASETS.build(dict(cfg, **changes))


def rewrite(folder, clips, **splits):
    write_skeletons(folder / 'skeleton.pkl', clips, **(splits or dict(train=IDS)))


def test_both_sources(tmp_path, clips):
    dataset = load(tmp_path)
    assert [dataset.get_data_info(k)['clip_id'] for k in range(3)] == IDS
    result = dataset[1]
    assert result['label'] == 3 and result['modality'] == ['RGB', 'Pose']
    assert len(result['imgs']) == 4 and result['keypoint'].shape == (1, 8, 22, 2)
    assert result['img_shape'] == (HEIGHT, WIDTH)
    np.testing.assert_array_equal(result['keypoint'], clips[1]['keypoint'][:, result['Pose_inds']])
    assert dataset.metainfo['classes'] == IMIGUE_CLASSES and 'ann_file' not in dataset.metainfo
    assert len(ClassBalancedDataset(load(tmp_path, lazy_init=True), .3)) == 3


def test_split_is_the_name_of_the_csv_or_given(tmp_path, clips):
    assert load(tmp_path).split == 'train'
    (tmp_path / 'train.csv').rename(tmp_path / 'other.csv')
    with pytest.raises(ValueError, match=r"skeleton.pkl has no split 'other', only \['train'\]"):
        load(tmp_path, ann_file='other.csv')
    dataset = load(tmp_path, ann_file='other.csv', split='train', test_mode=True)
    assert len(dataset) == 3
    assert dataset.metainfo['ann_file'] == str(tmp_path / 'other.csv')


def test_views_follow_each_other(tmp_path, clips):
    pipeline = [PIPELINE[0], dict(PIPELINE[1], num_clips=3), PIPELINE[2]]
    result = load(tmp_path, pipeline=pipeline)[2]
    assert len(result['imgs']) == 12 and result['keypoint'].shape[1] == 24
    poses = result['Pose_inds'].reshape(3, 8)
    np.testing.assert_array_equal(result['frame_inds'].reshape(3, 4), 21 + poses[:, ::2])


def test_sampling_is_upstreams_but_shared():
    """MMAction2 draws frames and skeletons apart: they show different moments."""
    clip = dict(clip_id='a', filename='a.mp4', total_frames=100, start_index=7, modality='RGB',
                keypoint=np.zeros((1, 100, 22, 2)))
    clip_len = dict(RGB=8, Pose=32)
    np.random.seed(3)
    ours = MMSharedSampleFrames(clip_len).transform(dict(clip))
    np.random.seed(3)
    upstream = MMUniformSampleFrames(dict(Pose=32, RGB=8)).transform(dict(clip))
    np.testing.assert_array_equal(ours['Pose_inds'], upstream['Pose_inds'])
    np.testing.assert_array_equal(ours['frame_inds'], 7 + ours['Pose_inds'][::4])
    assert not np.isin(upstream['RGB_inds'], upstream['Pose_inds']).all()


@pytest.mark.parametrize('clip_len', [
    dict(RGB=8), dict(RGB=8, Pose=20), dict(RGB=8, Pose=4), dict(RGB=0, Pose=4),
    dict(RGB=8, Pose=32, Flow=8)])
def test_bad_clip_len(clip_len):
    with pytest.raises(ValueError, match='Pose a multiple of RGB, but got'):
        MMSharedSampleFrames(clip_len)


def test_skeleton_is_scaled_to_smaller_cut_clips(tmp_path, clips):
    for clip in clips:
        clip.update(img_shape=(HEIGHT * 5, WIDTH * 5 - 4), keypoint=clip['keypoint'] * 5)
    rewrite(tmp_path, clips)
    result = load(tmp_path)[0]
    assert result['img_shape'] == (HEIGHT, WIDTH)
    expected = clips[0]['keypoint'][:, result['Pose_inds']] / 5 * (WIDTH * 5 / (WIDTH * 5 - 4), 1)
    np.testing.assert_allclose(result['keypoint'], expected, rtol=1e-5)
    for clip in clips:
        clip['img_shape'] = (WIDTH, HEIGHT)
    rewrite(tmp_path, clips)
    with pytest.raises(ValueError, match='0001_0 of .*0001.mp4 has frames of 96 x 128 .* '
                       'skeleton was found in 128 x 96'):
        load(tmp_path)[0]


def test_missing_files(tmp_path, clips):
    with pytest.raises(FileNotFoundError, match='nothing.pkl does not exist'):
        load(tmp_path, skeleton_file='nothing.pkl')
    with pytest.raises(FileNotFoundError, match='nothing.csv does not exist'):
        load(tmp_path, ann_file='nothing.csv')
    with pytest.raises(TypeError, match='modality'):
        load(tmp_path, modality='RGB')


def test_clips_in_one_source_alone(tmp_path, clips):
    rewrite(tmp_path, clips[:2], train=IDS[:2])
    with pytest.raises(ValueError, match='1 clips of .*train.csv are not in the split train of '
                       '.*skeleton.pkl: 0001_2. Both must'):
        load(tmp_path)
    rewrite(tmp_path, clips, train=IDS[:2])  # it has joints, yet the split leaves it out
    with pytest.raises(ValueError, match='are not in the split train of .*: 0001_2. Both'):
        load(tmp_path)
    rewrite(tmp_path, clips)
    lines = (tmp_path / 'train.csv').read_text().splitlines(keepends=True)
    (tmp_path / 'train.csv').write_text(''.join(lines[:2] + lines[3:]))
    with pytest.raises(ValueError, match='1 clips of the split train of .*skeleton.pkl are not in '
                       '.*train.csv: 0001_1. Both'):
        load(tmp_path)


def test_clips_without_joints(tmp_path, clips, monkeypatch):
    """As tools/data/prepare_imigue.py: no training split holds them, every other does."""
    said = []
    monkeypatch.setattr('gaie_mmaction.datasets.imigue_multimodal_dataset.print_log',
                        lambda text, **_: said.append(text))
    assert len(load(tmp_path)) == 3 and said == []
    clips[1]['keypoint'][:] = 0
    rewrite(tmp_path, clips, train=IDS[::2])
    dataset = load(tmp_path)
    assert [dataset.get_data_info(k)['clip_id'] for k in range(2)] == IDS[::2] and len(dataset) == 2
    assert len(said) == 1 and '1 of 3 clips' in said[0] and '0001_1' in said[0]
    rewrite(tmp_path, clips)
    assert not load(tmp_path, test_mode=True)[1]['keypoint'].any()
    with pytest.raises(ValueError, match='no joint in any frame: 0001_1'):
        load(tmp_path)


@pytest.mark.parametrize('change, said', [
    (lambda clip: dict(label=4),
     'clip 0001_1 has the label 3 in .*train.csv, but 4 in .*skeleton.pkl'),
    (lambda clip: dict(cut(frames=11)(clip), total_frames=11),
     'clip 0001_1 has 12 frames in .*train.csv, but 11 in .*skeleton.pkl'),
    (cut(joints=17), "skeleton.pkl: clip 0001_1 has 17 joints, but the layout 'imigue' has 22")])
def test_sources_that_disagree(tmp_path, clips, change, said):
    clips[1].update(change(clips[1]))
    rewrite(tmp_path, clips)
    with pytest.raises(ValueError, match=said):
        load(tmp_path)


def test_length_of_a_clip_file_is_known_when_it_is_read(tmp_path, clips):
    (tmp_path / 'train.txt').write_text('0001.mp4 3\n')
    clips[0]['frame_dir'] = '0001'
    rewrite(tmp_path, clips[:1], train=['0001'])
    dataset = load(tmp_path, ann_file='train.txt')
    with pytest.raises(ValueError, match='clip 0001 of .* has 31 frames, but its skeleton has 9'):
        dataset[0]


def test_joints_on_the_left_edge_are_mirrored():
    keypoint = np.full((1, 1, 22, 2), 7, np.float32)
    keypoint[0, 0, 3] = 0, 5
    keypoint[0, 0, 4] = 0, 0
    mirror = SKELETON_LAYOUTS['imigue'].mirror
    found = SkeletonFlip(1.).transform(dict(keypoint=keypoint, keypoint_score=np.ones((1, 1, 22)),
                                            img_shape=(10, 20), modality='Pose'))['keypoint'][0, 0]
    np.testing.assert_array_equal(found[mirror[3]], (20, 5))
    np.testing.assert_array_equal(found[mirror[4]], (0, 0))
    np.testing.assert_array_equal(found[0], (13, 7))

"""SMG: layout, first frame number, planted defects."""
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from numbered_video import write_video
from running import run_tool

from gaie_mmaction.datasets import FeatureSequenceDataset, IMiGUEDataset, read_feature_file
from gaie_mmaction.datasets.segment_file import read_segments
from gaie_mmaction.release.report import ReleaseError, Report
from gaie_mmaction.release.smg import Sample, first_frame, prepare_smg


def write_sample(root, number, labels, frames=40, joints=25):
    name = f'Sample{number:04d}'
    folder = root / name
    folder.mkdir(parents=True)
    write_video(folder / f'{name}_color.mp4', frames)
    (folder / f'{name}_finelabels.csv').write_text(
        ''.join(','.join(map(str, row)) + '\n' for row in labels))
    values = np.random.default_rng(number).normal(size=(frames, joints * 11))
    np.savetxt(folder / f'{name}_skeleton.csv', values, delimiter=',', fmt='%.5f')
    return values


def test_release(root, tmp_path):
    values = write_sample(tmp_path / 'root', 3, [(1, 1, 12), (17, 20, 40)])
    write_sample(tmp_path / 'root', 36, [(16, 5, 9)])
    code, output = run_tool('data/prepare_smg.py', tmp_path / 'root', '--out', tmp_path / 'out')
    assert code is None and 'frames count from 1: no label starts at 0, and one ends' in output
    assert 'train        1       2     unknown\n' in output
    out = tmp_path / 'out'
    assert (out / 'report.txt').read_text() in output and (out / 'report.json').exists()
    assert read_segments(out / 'spotting/train_segments.csv') == [
        ('Sample0003_color', 0, 11, 0), ('Sample0003_color', 19, 39, 16)]
    clips = IMiGUEDataset(ann_file=str(out / 'test.csv'), pipeline=[], test_mode=True,
                          data_prefix=dict(video=str(out / 'videos')),
                          metainfo=dict(dataset='smg'))
    clip = clips.get_data_info(0)
    assert (clip['clip_id'], clip['start_frame'], clip['end_frame'], clip['label']) == (
        'Sample0036_0', 4, 8, 15)
    joints = read_feature_file(out / 'spotting/train_joints.npz')['Sample0003_color']
    assert joints.num_frames == 40
    np.testing.assert_allclose(joints.features.reshape(40, 25, 3),
                               values.reshape(40, 25, 11)[..., :3], atol=1e-5)
    init_default_scope('mmaction')
    cfg = Config.fromfile(root / 'configs/spotting/detector_smg_joints.py').train_dataloader.dataset
    cfg.data_root = str(out / 'spotting')
    cfg.pop('type')
    packed = FeatureSequenceDataset(**cfg)[0]
    assert packed['inputs'].shape == (20, 150) and packed['data_samples'].frame_stride == 2


def test_folders_in_folders(tmp_path):
    """Zips unpack to Sample0001/Sample0001; a second copy is left out, and said."""
    write_sample(tmp_path / 'root/Sample0003', 3, [(1, 1, 12)])
    write_sample(tmp_path / 'root/Sample0036', 36, [(1, 1, 12)])
    write_sample(tmp_path / 'root/copy', 3, [(2, 1, 12)])
    report = prepare_smg(tmp_path / 'root', tmp_path / 'out')
    assert report.videos == dict(train=1, test=1) and report.clips == dict(train=1, test=1)
    assert [(one.file, one.detail) for one in report.deviations
            if one.kind == 'samples given twice'] == [
        ('copy/Sample0003', 'left out, Sample0003 is used')]


def test_samples_behind_a_link(tmp_path):
    """As one has them with several disks; a link back to the release ends nowhere."""
    write_sample(tmp_path / 'root', 3, [(1, 1, 12)])
    write_sample(tmp_path / 'disk', 36, [(1, 1, 12)])
    (tmp_path / 'root/more').symlink_to(tmp_path / 'disk')
    (tmp_path / 'disk/back').symlink_to(tmp_path / 'root')
    report = prepare_smg(tmp_path / 'root', tmp_path / 'root/out')
    assert report.videos == dict(train=1, test=1) == report.skeletons
    assert 'skeletons: train (1 videos), test (1 videos)' in report.text()
    assert 'resolutions' not in report.text()
    prepare_smg(tmp_path / 'root', tmp_path / 'root/out')


def test_first_frame_is_assumed_aloud():
    report = Report()
    assert first_frame([Sample('Sample0001', None, 40, [(1, 3, 39)], None)], report) == 1
    assert 'count from 1: assumed, as no label starts at 0' in report.deviations[0].detail


def test_defects(tmp_path):
    source = tmp_path / 'root'
    write_sample(source, 1, [(18, 0, 4), (2, 0, 9), (2, 8, 15), ('x', 1, 2), (3, 30, 45),
                             (3, 50, 55)], joints=24)
    write_sample(source, 2, [(1, 2, 3)])
    (source / 'Sample0002/Sample0002_finelabels.csv').unlink()
    values = write_sample(source, 36, [(1, 2, 3)])
    write_video(source / 'Sample0036/Sample0036_depth.mp4', 40)
    values[1] = np.nan
    np.savetxt(source / 'Sample0036/Sample0036_skeleton.csv', values[:39], delimiter=',')
    for ending in ('finelabels', 'skeleton'):
        (source / f'Sample0036/old_{ending}.csv').write_text('')
    earlier = tmp_path / 'out/spotting/train_joints.npz'
    earlier.parent.mkdir(parents=True)
    earlier.touch()
    report = prepare_smg(source, tmp_path / 'out')
    assert not earlier.exists()
    found = {deviation.kind: deviation.detail for deviation in report.deviations
             if deviation.file != 'Sample0036'}
    assert 'has no _finelabels.csv' in found['incomplete samples']
    assert 'has 264 values per frame instead of 275' in found['skeletons']
    assert 'frames count from 0: a label starts at 0' in found['first frame']
    assert 'overlap in video' in found['overlapping segments of a class']
    details = ' '.join(deviation.detail for deviation in report.deviations)
    assert "'18,0,4': needs a class in 1..17" in details and "'x,1,2'" in details
    assert 'ends at 45, the last frame is 39; cut there' in details
    assert 'starts at 50, the last frame is 39; left out' in details
    for ending in ('_color.mp4', '_finelabels.csv', '_skeleton.csv'):
        assert f'Sample0036{ending} is used' in details
    assert 'has 39 frames, the video 40: cut, or the last frame repeated' in details
    assert '75 coordinates are not finite; 0 is used' in details
    joints = read_feature_file(tmp_path / 'out/spotting/test_joints.npz')['Sample0036_color']
    expected = np.nan_to_num(values[[*range(39), 38]].reshape(40, 25, 11)[..., :3])
    np.testing.assert_allclose(joints.features.reshape(40, 25, 3), expected, atol=1e-5)
    assert report.clips == dict(train=3, test=1)
    for sample in (1, 36):
        (source / f'Sample{sample:04d}/Sample{sample:04d}_color.mp4').rename(
            source / f'Sample{sample:04d}/color.mp4')
    (source / 'Sample0036/Sample0036_depth.mp4').unlink()
    with pytest.raises(ReleaseError, match='Sample0001/color.mp4 and Sample0036/color.mp4 have '
                                           'the same name: rename them'):
        prepare_smg(source, tmp_path / 'out')
    (source / 'Sample0001/Sample0001_finelabels.csv').write_bytes(b'1,2,3\n\xf1')
    report = prepare_smg(source, tmp_path / 'out')
    assert any(deviation.file.endswith('Sample0001_finelabels.csv') and 'is not UTF-8 text'
               in deviation.detail for deviation in report.deviations)
    with pytest.raises(ReleaseError, match='no folder Sample0001'):
        prepare_smg(tmp_path / 'out/spotting', tmp_path / 'other')

"""Micro-Action-52: lists with planted defects, hold-out, submissions."""
import csv
import io
import pickle
import zipfile

import numpy as np
import pytest
from running import run_tool

from gaie_mmaction.datasets import MA52_ACTIONS, IMiGUEDataset, IMiGUEPoseDataset
from gaie_mmaction.release import archives, ma52
from gaie_mmaction.release.ma52 import (
    check_ma52_submission,
    prepare_ma52,
    write_ma52_submission,
)
from gaie_mmaction.release.report import ReleaseError


def write_release(root):
    """Twelve people with six clips of two parts each; the test part is zipped, its end cut off."""
    lists = dict(train=[], val=[], test=[f'test{k:04d}.mp4 0' for k in range(8)])
    for person in range(12):
        for k in range(6):
            lists['train' if k < 4 else 'val'].append(f'{person:04d}_01_{k:04d}.mp4 {7 * k}')
    for part, rows in lists.items():
        root.mkdir(exist_ok=True)
        (root / f'{part}_list_videos.txt').write_text('\n'.join(rows))  # no newline at the end
        folder = root / part
        if part != 'test':
            folder.mkdir()
            for row in rows:
                (folder / row.split()[0]).write_bytes(b'video')
    with zipfile.ZipFile(root / 'test.zip', 'w') as file:
        for row in lists['test']:
            file.writestr(f'test/{row.split()[0]}', b'video')
    return lists


def make_skeleton(name, label, frames=5, joints=28):
    """As MMAction2's PoseDataset reads it; x of joint j in frame t is 100 t + j."""
    x = (100 * np.arange(frames)[:, None] + np.arange(joints)).astype(np.float32)
    return dict(frame_dir=name, label=label, total_frames=frames, img_shape=(240, 320),
                original_shape=(240, 320), keypoint=np.stack([x, x + 1], axis=-1)[None],
                keypoint_score=np.full((1, frames, joints), .5, np.float32))


def write_skeletons(root, lists, **changed):
    """A pickle per part with all clips of the lists, or with ``changed`` ones."""
    for part, rows in lists.items():
        clips = changed.get(part) or [
            make_skeleton(name.removesuffix('.mp4'), int(label)) for name, label in map(
                str.split, rows)]
        (root / f'MA52_{part}.pkl').write_bytes(pickle.dumps(clips))


def pose_dataset(out, split, test_mode=True):
    return IMiGUEPoseDataset(ann_file=str(out / 'skeleton.pkl'), split=split, layout='ma52',
                             metainfo=dict(dataset='ma52'), pipeline=[], test_mode=test_mode)


def read_list(path):
    return dict(line.split() for line in path.read_text().splitlines())


def test_release(tmp_path):
    lists = write_release(tmp_path / 'root')
    code, output = run_tool('data/prepare_ma52.py', tmp_path / 'root', '--out', tmp_path / 'out')
    assert code is None and 'deviations: 0' in output and 'train       48      48' in output
    out = tmp_path / 'out'
    assert read_list(out / 'val.txt') == {
        f'val/{row.split()[0]}': row.split()[1] for row in lists['val']}
    test = read_list(out / 'test.txt')
    assert len(test) == 8 and set(test.values()) == {'-1'}
    parts = [read_list(out / f'holdout_{part}.txt') for part in ('train', 'val')]
    assert {**parts[0], **parts[1]} == read_list(out / 'trainval.txt')
    people = [{name.split('/')[1][:4] for name in part} for part in parts]
    assert people[0] & people[1] == set() and len(people[1]) >= 1
    dataset = IMiGUEDataset(ann_file=str(out / 'val.txt'), data_prefix=dict(video=str(
        out / 'videos')), metainfo=dict(dataset='ma52'), pipeline=[], test_mode=True)
    assert len(dataset) == 24 and dataset.metainfo['classes'] == MA52_ACTIONS
    assert 'codes' not in dataset.metainfo and len(dataset.metainfo['groups']) == 7


def test_other_lists_are_not_taken_for_the_parts(tmp_path):
    """Names that end alike, and a second copy."""
    root = tmp_path / 'root'
    lists = write_release(root)
    for name in ('mini_train', 'trainval'):
        (root / f'{name}_list_videos.txt').write_text(f'{lists["train"][0].split()[0]} 51')
    (root / 'copy').mkdir()
    (root / 'copy/train_list_videos.txt').write_text('another list')
    (root / 'copy/val_list_videos.txt').write_text('\n'.join(lists['val']))
    report = prepare_ma52(root, tmp_path / 'out')
    assert [(one.kind, one.file, one.detail) for one in report.deviations] == [
        ('files given twice', f'copy/{name}_list_videos.txt',
         f'{text} {name}_list_videos.txt, which is used')
        for name, text in (('train', 'differs from'), ('val', 'a copy of'))]
    assert read_list(tmp_path / 'out/train.txt') == {
        f'train/{row.split()[0]}': row.split()[1] for row in lists['train']}


def test_defects(tmp_path):
    root = tmp_path / 'root'
    write_release(root)
    with open(root / 'train_list_videos.txt', 'a') as file:
        file.write('\n0099_01_0000.mp4 3\nbroken\n0000_01_0001.mp4 52\n0000_01_0000.mp4 1')
    with open(root / 'val_list_videos.txt', 'a') as file:
        file.write('\n0003_01_0001.mp4 7')
    (root / 'val/0002_01_0004.mp4').write_bytes(b'')
    data = (root / 'test.zip').read_bytes()
    (root / 'test.zip').write_bytes(data[:len(data) // 2])
    report = prepare_ma52(root, tmp_path / 'out')
    found = {(deviation.kind, deviation.file) for deviation in report.deviations}
    assert {('clips without a video', 'train: 0099_01_0000.mp4'),
            ('clips without a video', 'val: 0002_01_0004.mp4'),
            ('videos that are empty', 'val/0002_01_0004.mp4'),
            ('clips in two parts', 'val: 0003_01_0001.mp4'),
            ('zip files', 'test.zip')} <= found
    details = [d.detail for d in report.deviations if d.kind == 'lines that cannot be read']
    assert len(details) == 3 and any('class 52 is not in 0..51' in detail for detail in details)
    assert report.clips == dict(train=48, val=23, test=0)


def test_skeletons(tmp_path):
    """Splits of the same clips and labels as the lists of videos."""
    root, out = tmp_path / 'root', tmp_path / 'out'
    lists = write_release(root)
    write_skeletons(root, lists)
    report = prepare_ma52(root, out)
    assert not report.deviations and report.skeletons == dict(train=48, val=24, test=8)
    for split in ('train', 'val', 'test', 'trainval', 'holdout_train', 'holdout_val'):
        dataset = pose_dataset(out, split, test_mode=not split.endswith(('train', 'trainval')))
        assert {dataset.get_data_info(k)['clip_id']: str(dataset.get_data_info(k)['label'])
                for k in range(len(dataset))} == {
            name.rpartition('/')[2].removesuffix('.mp4'): label
            for name, label in read_list(out / f'{split}.txt').items()}
    assert dataset.metainfo['classes'] == MA52_ACTIONS
    clip = dataset.get_data_info(0)
    assert clip['keypoint'][0, 3, 27].tolist() == [327, 328] and clip['img_shape'] == (240, 320)
    for path in root.glob('*.pkl'):
        path.unlink()
    prepare_ma52(root, out)
    assert not (out / 'skeleton.pkl').exists()


def test_skeletons_without_videos(tmp_path):
    root, out = tmp_path / 'root', tmp_path / 'out'
    lists = write_release(root)
    write_skeletons(root, lists)
    for path in [*root.rglob('*.mp4'), root / 'test.zip']:
        path.unlink()
    report = prepare_ma52(root, out)
    assert [(d.kind, d.file) for d in report.deviations] == [
        ('clips without a video', f'{part}: all') for part in ('train', 'val', 'test')]
    assert len(pose_dataset(out, 'holdout_val')) and read_list(out / 'holdout_val.txt') == {}


def test_defects_of_skeletons(tmp_path):
    root, out = tmp_path / 'root', tmp_path / 'out'
    lists = write_release(root)
    clips = [make_skeleton(row.split()[0].removesuffix('.mp4'), int(row.split()[1]))
             for row in lists['train']]
    clips[0]['keypoint'] = clips[0]['keypoint'][:, :, :18]
    clips[1]['label'] = 51
    clips[2]['keypoint'][0, 2, 5] = np.nan
    clips[3]['keypoint'][:] = 0
    clips[4]['img_shape'] = (240, 0)
    del clips[5]['keypoint_score']
    clips[6]['keypoint'] = clips[6]['keypoint'][:0]
    clips[7] = make_skeleton('raw_videos/train/' + clips[7]['frame_dir'], clips[7]['label'])
    clips[8]['filename'] = clips[8].pop('frame_dir') + '.mp4'
    clips[9]['keypoint_score'] = clips[9]['keypoint_score'].tolist()
    clips += [make_skeleton('0099_01_0000', 3), clips[10], {}, 5]
    write_skeletons(root, lists, train=clips)
    (root / 'MA52_val.pkl').write_bytes(b'no pickle')
    (root / 'MA52_test.pkl').write_bytes(pickle.dumps(dict(annotations=3)))
    report = prepare_ma52(root, out)
    found = [(d.file, d.detail) for d in report.deviations]
    for where, what in (
            ('annotation 0 (0000_01_0000.mp4)', 'they are (1, 5, 18, 2) and (1, 5, 28); left out'),
            ('annotation 1 (0000_01_0001.mp4)', 'has class 51, the list 7, which is used'),
            ('annotation 2 (0000_01_0002.mp4)', '1 joints are not finite; taken for missing'),
            ('annotation 4 (0001_01_0000.mp4)', 'img_shape must be (height, width), but is'),
            ('annotation 5 (0001_01_0001.mp4)', 'lacks keypoint_score; left out'),
            ('annotation 6 (0001_01_0002.mp4)', 'they are (0, 5, 28, 2)'),
            ('annotation 9 (0002_01_0001.mp4)', "and <class 'list'>; left out"),
            ('annotation 48 (0099_01_0000.mp4)', 'is not in the list of the part; left out'),
            ('annotation 49 (0002_01_0002.mp4)', 'is given a second time; left out'),
            ('annotation 50 (without a name)', 'is not a dict with frame_dir or filename'),
            ('annotation 51 (without a name)', 'is not a dict with frame_dir or filename'),
            ('train: 0000_01_0000.mp4', 'has no usable skeleton in MA52_train.pkl'),
            ('MA52_val.pkl', 'It is not a pickle, or damaged or incomplete; left out'),
            ('MA52_test.pkl', 'must hold a list of annotations, but holds a dict; left out')):
        assert any(where in file and what in detail for file, detail in found), (where, what)
    assert report.skeletons == dict(train=43)
    dataset = pose_dataset(out, 'train', test_mode=False)  # without the one that has no joint
    clips = {clip['clip_id']: clip for clip in map(dataset.get_data_info, range(len(dataset)))}
    assert len(clips) == 42 and clips['0000_01_0001']['label'] == 7
    assert {'0001_01_0003', '0002_01_0000'} <= clips.keys()  # of a folder, and a file's name
    values = clips['0000_01_0002']['keypoint'][0], clips['0000_01_0002']['keypoint_score'][0]
    assert not values[0][2, 5].any() and not values[1][2, 5] and values[1][2, 4] == .5


def test_holdout_of_an_earlier_run_is_deleted(tmp_path):
    root, out = tmp_path / 'root', tmp_path / 'out'
    lists = write_release(root)
    prepare_ma52(root, out)
    assert (out / 'holdout_val.txt').exists()
    for part in ('train', 'val'):  # one person
        own = [row for row in lists[part] if row.startswith('0000')]
        (root / f'{part}_list_videos.txt').write_text('\n'.join(own))
    assert 'same first field' in prepare_ma52(root, out).splits['holdout']
    assert not list(out.glob('holdout*')) and len(read_list(out / 'trainval.txt')) == 6



def test_refused_zip_can_be_allowed(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, 'SMALL', 0)
    root = tmp_path / 'root'
    write_release(root)
    with zipfile.ZipFile(root / 'test.zip', 'w', zipfile.ZIP_DEFLATED) as file:
        file.writestr('test/test0000.mp4', bytes(10**6))
    for option, number in (((), 0), (('--max-unpacked-ratio', 2000), 1)):
        run_tool('data/prepare_ma52.py', root, '--out', tmp_path / 'out', *option)
        assert len(read_list(tmp_path / 'out/test.txt')) == number


def test_nothing_to_use(tmp_path):
    with pytest.raises(ReleaseError, match='no train_list_videos.txt below'):
        prepare_ma52(tmp_path, tmp_path / 'out')
    write_release(tmp_path / 'root')
    for path in (tmp_path / 'root').rglob('*.mp4'):
        path.unlink()
    (tmp_path / 'root/test.zip').unlink()
    path = tmp_path / 'root/val_list_videos.txt'
    path.write_bytes(b'\xf1')
    with pytest.raises(ReleaseError, match=r'val_list_videos.txt is not UTF-8 text \(.*: take the'):
        prepare_ma52(tmp_path / 'root', tmp_path / 'out')
    path.write_text('')
    with pytest.raises(ReleaseError, match='none of the listed clips has a video or'):
        prepare_ma52(tmp_path / 'root', tmp_path / 'out')


@pytest.mark.parametrize('form', ['2024', '2025'])
def test_submission(tmp_path, form):
    rng = np.random.default_rng(0)
    scores = {f'test{k:04d}.mp4': rng.random(52).tolist() for k in range(5)}
    path = tmp_path / 'prediction.zip'
    write_ma52_submission(path, scores, form)
    assert check_ma52_submission(path, list(scores)) == []
    with zipfile.ZipFile(path) as file:
        rows = list(csv.DictReader(io.StringIO(file.read('prediction.csv').decode())))
    best = np.argmax(scores['test0002.mp4'])
    part = np.searchsorted([0, 5, 11, 24, 32, 38, 48], best, side='right') - 1
    keys = ('action_pred_1', 'body_pred_1') if form == '2025' else ('pred_label_2', 'pred_label_1')
    assert tuple(int(rows[2][key]) for key in keys) == (best, part)
    assert check_ma52_submission(path, [*list(scores)[1:], 'test0009.mp4']) == [
        '1 clips are not in the list, e.g. test0000.mp4', '1 clips are missing, e.g. test0009.mp4']
    with pytest.raises(ValueError, match='a.mp4 has scores that are not finite'):
        write_ma52_submission(path, {'a.mp4': [float('nan')] * 52}, form)
    for wrong in ('7', '9' * 5000):
        with zipfile.ZipFile(path, 'w') as file:
            file.writestr('prediction.csv', 'id,pred_label_1,pred_label_2\n'
                                            f'a.mp4,{wrong},0\na.mp4,0,0\n')
        faults = check_ma52_submission(path, ['a.mp4'])
        assert f'one out of range, e.g. a.mp4,{wrong},0' in faults[0]
        assert 'more than once' in faults[1]
    for method, size in ((zipfile.ZIP_DEFLATED, ma52.MAX_BYTES + 1), (zipfile.ZIP_BZIP2, 9)):
        with zipfile.ZipFile(path, 'w', method) as file:
            file.writestr('prediction.csv', 'x' * size)
        assert check_ma52_submission(path, []) == [
            f'prediction.csv takes {size} bytes, of at most {ma52.MAX_BYTES}, by method {method}: '
            'write it with Deflate']
    write_ma52_submission(path, scores, form)
    whole = path.read_bytes()
    first = whole.index(b'prediction.csv') + len('prediction.csv')
    encrypted = bytearray(whole)
    for place in (6, whole.index(b'PK\1\2') + 8):  # the flags of both headers
        encrypted[place] |= 1
    for content in (b'no zip', whole[:first] + b'\xff' * 20 + whole[first + 20:], encrypted):
        path.write_bytes(content)
        assert 'cannot be read' in check_ma52_submission(path, [])[0]
    with pytest.raises(ValueError, match='form must be'):
        write_ma52_submission(path, scores, '2023')

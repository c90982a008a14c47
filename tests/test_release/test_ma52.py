"""Micro-Action-52: lists with planted defects, hold-out, submissions."""
import csv
import io
import zipfile
from functools import partial

import numpy as np
import pytest
from filelock import FileLock
from running import run_tool

from gaie_mmaction.datasets import MA52_ACTIONS, IMiGUEDataset
from gaie_mmaction.release import archives, ma52
from gaie_mmaction.release.ma52 import (
    check_ma52_submission,
    prepare_ma52,
    write_ma52_submission,
)
from gaie_mmaction.release.report import ReleaseError
from gaie_mmaction.utils.files import locked_folder


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


def test_second_run_at_once_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(ma52, 'locked_folder', partial(locked_folder, timeout=.1))
    write_release(tmp_path / 'root')
    out = tmp_path / 'out'
    with FileLock(out / '.lock'):
        code, _ = run_tool('data/prepare_ma52.py', tmp_path / 'root', '--out', out)
    assert f'another process writes into {out} and holds' in code
    assert not (out / 'train.txt').exists()


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
    with pytest.raises(ReleaseError, match='none of the listed clips has a video'):
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
    with zipfile.ZipFile(path, 'w') as file:
        file.writestr('prediction.csv', 'id,pred_label_1,pred_label_2\na.mp4,7,0\na.mp4,0,0\n')
    faults = check_ma52_submission(path, ['a.mp4'])
    assert 'one out of range, e.g. a.mp4,7,0' in faults[0] and 'more than once' in faults[1]
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

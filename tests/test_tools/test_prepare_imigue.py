"""From a release to annotation files, skeletons and cut clips."""
import csv
import errno
import fcntl
import functools
import json
import multiprocessing
import os
import pickle
import random
import re
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import prepare_imigue as prepare
import pytest
from full_release import make_release as make_full_release
from numbered_video import draw_number, read_number, rotate, write_video
from release_media import nose_x, write_xlsx

from gaie_mmaction.datasets import VideoFile
from gaie_mmaction.datasets.annotations import read_annotations
from gaie_mmaction.datasets.imigue_skeleton import hands_swapped
from gaie_mmaction.release import archives, cutting, labels, segments
from gaie_mmaction.release.report import ReleaseError, Report
from gaie_mmaction.release.skeletons import read_skeleton

LAYOUTS = {
    'later': ('imigue_data_phase1/datasets/imigue_skeleton_{}/{}',
              'imigue_data_phase2/imigue_skeleton_test/{}'),
    '2023': ('imigue_data_phase1/imigue_skeleton_{}/{}',
             'imigue_data_phase2/imigue_skeleton_test/{}'),
    'one more level': ('a/b/datasets/imigue_skeleton_{}/x/{}', 'c/imigue_skeleton_test/y/{}'),
}
NUM_FRAMES = 30
HEADER = ','.join(['', *map(str, range(105))])


@functools.cache
def whole_video():
    """Bytes of the one video that all of them are."""
    with tempfile.TemporaryDirectory() as folder:
        write_video(Path(folder) / 'v.mp4', NUM_FRAMES)
        return (Path(folder) / 'v.mp4').read_bytes()


@pytest.fixture
def picture():
    """Asked for by a test that wants classes.png drawn, which takes longer than all the rest."""


@pytest.fixture(autouse=True)
def draw_only_if_asked(request, monkeypatch):
    if 'picture' not in request.fixturenames:
        monkeypatch.setattr(Report, 'plot_classes', lambda self, path: path.write_bytes(b''))


def make_release(root, layout='later', rows='17,0,9\n99,12,29\n'):
    """Three videos of 30 frames, one a part; test labels are a placeholder."""
    labelled, test = LAYOUTS[layout]
    folders = {'0001': labelled.format('train', '0001'),
               '0011': labelled.format('validate', '0011'),
               '0054': test.format('0054')}
    videos = {'0001': 'imigue_rgb_phase1/train_data/0001',
              '0011': 'imigue_rgb_phase1/validation_data/0011',
              '0054': 'imigue_rgb_phase2/z/0054'}
    for video_id, folder in folders.items():
        (root / folder).mkdir(parents=True)
        text = rows if video_id == '0001' else '1,3,7\n1,8,20\n'
        (root / folder / f'{video_id}_label.csv').write_text(text)
        (root / videos[video_id]).mkdir(parents=True)
        (root / videos[video_id] / f'{video_id}.mp4').write_bytes(whole_video())
    return root


def prepared(root, **options):
    """Rows by part, and the report."""
    out = root.parent / f'{root.name}-out'
    report = prepare.prepare(root, out, **options)
    parts = {}
    for name in ('train', 'val', 'test'):
        with open(out / f'{name}.csv', newline='') as file:
            parts[name] = [(row['clip_id'], row['video'], int(row['start_frame']),
                            int(row['end_frame']), int(row['label']))
                           for row in csv.DictReader(file)]
    return parts, report


def details(report, kind):
    return [deviation.detail for deviation in report.deviations if deviation.kind == kind]


def main(monkeypatch, *arguments):
    """The command line in this process."""
    monkeypatch.setattr(sys, 'argv', ['prepare_imigue.py', *map(str, arguments)])
    prepare.main()


def start(*arguments, limit=None):
    """The command line in a process of its own, with files of at most ``limit`` bytes."""

    def child():
        if limit:  # as a full disk, but for this process alone
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        sys.argv = ['prepare_imigue.py', *map(str, arguments)]
        try:
            prepare.main()
        except SystemExit as error:
            there.send(str(error))
            raise

    context = multiprocessing.get_context('fork')
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=child)
    process.start()
    process.message = here
    return process


def zip_release(root, target):
    """The same release as two zips, with what macOS adds."""
    target.mkdir()
    for name in ('imigue_skeleton_phase1', 'imigue_rgb_phase1'):
        with zipfile.ZipFile(target / f'{name}.zip', 'w') as file:
            for path in sorted(root.rglob('*.*')):
                if (path.suffix == '.mp4') == ('rgb' in name):
                    file.write(path, path.relative_to(root))
                    file.writestr(f'__MACOSX/{path.parent.name}/._{path.name}', b'junk')
    return target


# ---- parts


@pytest.mark.parametrize('layout', LAYOUTS)
def test_parts(tmp_path, layout):
    parts, report = prepared(make_release(tmp_path / 'r', layout))
    video = 'imigue_rgb_phase1/train_data/0001/0001.mp4'
    assert parts['train'] == [('0001_0', video, 0, 9, 16), ('0001_1', video, 12, 29, 31)]
    assert [row[0] for row in parts['val']] == ['0011_0', '0011_1']
    assert [row[-1] for row in parts['test']] == [-1, -1]
    assert report.clips == dict(train=2, val=2, test=2)
    assert report.resolutions == {'128x96': 3} and report.frame_rates == {'25.00 frames/s': 3}
    assert not report.deviations


def test_every_code_becomes_its_label(tmp_path):
    codes = [*range(1, 32), 99]
    rows = ''.join(f'{code},0,5\n' for code in codes)
    parts, report = prepared(make_release(tmp_path / 'r', rows=rows))
    assert [row[-1] for row in parts['train']] == list(range(32))
    assert parts['train'][10][0] == '0001_10'  # in order of the rows, not of the letters
    assert sum(report.clips_per_class['train'].values()) == 32 and not report.deviations


def test_whole_run_from_the_command_line(tmp_path, monkeypatch, capsys, picture):
    """Blanks and other letters in the paths; a second run replaces the first."""
    root, out = make_release(tmp_path / 'iMiGUE données 数据'), tmp_path / 'my out'
    (tmp_path / 'answers.csv').write_text('clip_id,label\n0054_0,5\n0054_1,31\n')
    for _ in range(2):
        main(monkeypatch, root, '--out', out, '--test-labels', tmp_path / 'answers.csv')
    assert 'differs by -12891' in capsys.readouterr().out
    clips = read_annotations(str(out / 'trainval.csv'), 32)
    assert [clip['clip_id'] for clip in clips] == ['0001_0', '0001_1', '0011_0', '0011_1']
    assert [clip['label'] for clip in read_annotations(str(out / 'test.csv'), 32)] == [5, 31]
    assert (out / 'videos' / clips[0]['video']).is_file()
    assert (out / 'trainval.txt').read_text().splitlines()[0] == '0001_0.mp4 16'
    listed = read_annotations(str(out / 'test.txt'), 32)
    assert [(clip['clip_id'], clip['label']) for clip in listed] == [('0054_0', 5), ('0054_1', 31)]
    assert len((out / 'label_map.txt').read_text().splitlines()) == 32
    report = json.loads((out / 'report.json').read_text())
    assert report['clips_per_class']['train'] == {
        '16 Folding arms': 1, '31 Illustrative body language (not a micro-gesture)': 1
    }
    assert (out / 'classes.png').read_bytes()[1:4] == b'PNG'
    assert not [path for path in out.rglob('*') if 'partial' in path.name]


# ---- labels


def test_ranges_that_do_not_fit(tmp_path):
    rows = '17,0,30\n17,-2,5\n17,30,35\n17,9,8\n40,1,2\n1,29,29\n'
    parts, report = prepared(make_release(tmp_path / 'r', rows=rows))
    assert [row[0:1] + row[2:4] for row in parts['train']] == [('0001_0', 0, 29), ('0001_1', 0, 5),
                                                              ('0001_5', 29, 29)]
    assert details(report, 'clips clamped') == [
        '0001_0: 0..30 to 0..29, the video has 30 frames',
        '0001_1: -2..5 to 0..5, the video has 30 frames']
    assert details(report, 'clips dropped') == [
        '0001_2: starts at frame 30, the video has 30',
        '0001_3: ends at frame 8, before its start 9',
        "0001_4: class '40' is none of 1..31 and 99"]
    assert {deviation.file for deviation in report.deviations} == {
        'imigue_data_phase1/datasets/imigue_skeleton_train/0001/0001_label.csv'}


def test_every_test_clip_gets_a_row(tmp_path):
    root = make_release(tmp_path / 'r')
    next(root.rglob('0054_label.csv')).write_text('?,3,7\n1,40,50\n1,9,4\n1,x,4\n1,3\n')
    parts, report = prepared(root)
    assert [row[0:1] + row[2:] for row in parts['test']] == [
        ('0054_0', 3, 7, -1), ('0054_1', 29, 29, -1), ('0054_2', 9, 9, -1), ('0054_3', 0, 29, -1),
        ('0054_4', 0, 29, -1)]
    assert [text[:6] for text in details(report, 'test clips kept with another range')] == [
        '0054_1', '0054_2', '0054_3', '0054_4']


@pytest.mark.parametrize('text, rows, noted', [
    ('\ufeff17,0,9\n99,12,29\n', 2, 'a byte order mark'),
    ('17,0,9\r\n99,12,29\r\n', 2, 'Windows line ends'),
    ('17,0,9\n\n ,,\n99,12,29', 2, '2 blank lines'),
    (' 17, 0 ,9\n99,12, 29\n', 2, 'blanks around values'),
    ('class,start,end\n17,0,9\n99,12,29\n', 2, "a header ('class,start,end')"),
])
def test_form_of_label_files(tmp_path, text, rows, noted):
    path = tmp_path / '0001_label.csv'
    path.write_bytes(text.encode())
    report = Report()
    found = labels.read_label_file(path, path.name, report)
    assert [(row.k, labels.label_of(row.code), row.frames) for row in found] == [
        (0, 16, (0, 9)), (1, 31, (12, 29))]
    assert details(report, labels.FORM) == [f'has {noted}; read all the same']


@pytest.mark.parametrize('text', [
    '17;0;9\n99;12;29\n', '17\t0\t9\n99\t12\t29\n', '"17","0","9"\n"99","12","29"\n',
    '17.0,0.0,9.0\n99.0,12.0,29.0\n', '17,--5,9\n99,12,+-3\n', f'17,0,{"9" * 5000}\n,,-\n'],
    ids=['semicolons', 'tabs', 'quotes', 'decimals', 'signs', 'digits'])
@pytest.mark.parametrize('header', ['', 'class,start_frame,end_frame\n'], ids=['', 'header'])
def test_rows_of_another_form_keep_their_numbers(tmp_path, text, header):
    """They are no headers: a test clip would be lost, and those after it would get another's id."""
    root = make_release(tmp_path / 'r', rows=header + text)
    next(root.rglob('0054_label.csv')).write_text(header + text + '1,3,7\n')
    parts, report = prepared(root)
    assert parts['train'] == [] and len(details(report, 'clips dropped')) == 2
    assert [row[0] for row in parts['test']] == ['0054_0', '0054_1', '0054_2']
    assert parts['test'][2][2:4] == (3, 7)
    assert len(details(report, 'test clips kept with another range')) == 2


@pytest.mark.parametrize('code, label', [('1', 0), ('31', 30), ('99', 31), ('0', None),
                                         ('32', None), ('100', None), ('-1', None), ('x', None),
                                         ('', None), ('1.5', None)])
def test_label_of(code, label):
    assert labels.label_of(code) == label


def test_rows_that_cannot_be_read_cost_one_clip(tmp_path):
    rows = '17,0,9\n17,a,9\nhm,3,4\n17,3\n17,3,4,5\n1,10,12\n'
    parts, report = prepared(make_release(tmp_path / 'r', rows=rows))
    assert [row[0] for row in parts['train']] == ['0001_0', '0001_5']
    dropped = details(report, 'clips dropped')
    assert [text[:6] for text in dropped] == ['0001_1', '0001_2', '0001_3', '0001_4']
    assert "line 2 ('17,a,9')" in dropped[0] and "class 'hm'" in dropped[1]


# ---- what is missing, doubled or damaged


@pytest.mark.parametrize('spoil, kind, detail', [
    (lambda root: next(root.rglob('0001.mp4')).unlink(), 'labels without a video', 'no usable'),
    (lambda root: next(root.rglob('0001_label.csv')).unlink(), 'videos without labels', 'no usabl'),
    (lambda root: next(root.rglob('0001.mp4')).write_text('no video'), 'videos that cannot be read',
     'not a video or is damaged'),
    (lambda root: next(root.rglob('0001.mp4')).write_text(''), 'videos that cannot be read',
     'is empty'),
    (lambda root: next(root.rglob('0001.mp4')).write_bytes(
        next(root.rglob('0001.mp4')).read_bytes()[:-100]), 'videos that cannot be read',
     'is incomplete'),
    (lambda root: (root / '0001.mp4').write_text('other'), 'videos that occur twice', 'differs'),
    (lambda root: next(root.rglob('0001_label.csv')).write_bytes(b'PK\xff\xfe'),
     'label rows that cannot be read', 'as text'),
    (lambda root: next(root.rglob('0001_label.csv')).write_text('\n'),
     'label rows that cannot be read', 'holds no clip'),
    (lambda root: (next(root.rglob('imigue_skeleton_test')) / '0001_label.csv').write_text('1,2,3'),
     'label files that occur twice', 'differs'),
])
def test_bad_video_or_label_file_costs_its_clips_alone(tmp_path, spoil, kind, detail):
    root = make_release(tmp_path / 'r')
    spoil(root)
    parts, report = prepared(root)
    assert detail in ' '.join(details(report, kind))
    assert parts['train'] == [] and len(parts['val']) == len(parts['test']) == 2
    assert f'\n{kind}: ' in report.text()


def test_same_file_twice_is_used_once(tmp_path):
    root = make_release(tmp_path / 'r')
    (root / 'z').mkdir()
    (root / 'z/0001.mp4').write_bytes(next(root.rglob('0001.mp4')).read_bytes())
    parts, report = prepared(root)
    assert len(parts['train']) == 2
    assert 'is the same as' in details(report, 'videos that occur twice')[0]


@pytest.mark.parametrize('pattern, message', [
    ('*_label.csv', 'no <VID>_label.csv and no labels_20200831.csv below .*skeleton'),
    ('*.mp4', 'no <VID>.mp4 below .*imigue_rgb_phase1'),
])
def test_nothing_to_work_with(tmp_path, pattern, message):
    root = make_release(tmp_path / 'r')
    for path in root.rglob(pattern):
        path.unlink()
    with pytest.raises(ReleaseError, match=message):
        prepared(root)


def test_endings_in_capitals(tmp_path):
    root = make_release(tmp_path / 'r')
    expected, _ = prepared(root)
    for path in [path for path in root.rglob('*.*') if '0001' in path.name]:
        path.rename(path.with_name(path.name.upper()))
    parts, report = prepared(root)
    assert not report.deviations
    assert [(*row[:1], *row[2:]) for row in parts['train']] == [
        (*row[:1], *row[2:]) for row in expected['train']]


def test_link_that_leads_nowhere(tmp_path):
    root = make_release(tmp_path / 'r')
    video = next(root.rglob('0001.mp4'))
    video.unlink()
    video.symlink_to('nowhere.mp4')
    parts, report = prepared(root)
    assert parts['train'] == [] and len(parts['val']) == len(parts['test']) == 2
    assert {deviation.kind for deviation in report.deviations} == {
        'links that lead nowhere', 'labels without a video'}


def test_label_file_and_video_in_different_parts(tmp_path):
    root = make_release(tmp_path / 'r')
    video = next(root.rglob('0054.mp4'))
    (root / 'validation_data').mkdir()
    video.rename(root / 'validation_data/0054.mp4')
    parts, report = prepared(root)
    assert len(parts['test']) == 2
    assert details(report, 'label file and video in different parts') == [
        'test, but validation_data/0054.mp4 is in val; test is used']


def test_release_for_out(tmp_path):
    root = make_release(tmp_path / 'r')
    before = sorted(root.rglob('*'))
    with pytest.raises(ReleaseError, match='is the release itself: give another folder to --out'):
        prepare.prepare(root, root / '.')
    assert sorted(root.rglob('*')) == before


def test_part_of_unknown_name(tmp_path):
    root = make_release(tmp_path / 'r')
    (root / 'other').mkdir()
    (root / 'other/0400_label.csv').write_text('1,2,3\n')
    _, report = prepared(root)
    assert 'no folder above it' in details(report, 'unknown part')[0]


def test_out_inside_the_release_is_not_taken_for_the_release(tmp_path):
    root = make_release(tmp_path / 'r')
    for _ in range(2):
        report = prepare.prepare(root, root / 'out', cut=True)
    assert report.clips == dict(train=2, val=2, test=2) and not report.deviations


# ---- zips


def test_zips_equal_folders(tmp_path):
    root = make_release(tmp_path / 'r')
    zipped = zip_release(root, tmp_path / 'z')
    parts, report = prepared(zipped)
    assert not report.deviations
    assert [[row[0:1] + row[2:] for row in rows] for rows in parts.values()] == [
        [row[0:1] + row[2:] for row in rows] for rows in prepared(root)[0].values()]
    before = {path: path.stat().st_mtime_ns for path in zipped.rglob('*.*')}
    prepared(zipped)
    assert {path: path.stat().st_mtime_ns for path in zipped.rglob('*.*')} == before


def test_zip_that_was_unpacked_elsewhere_is_not_unpacked_again(tmp_path):
    zipped = zip_release(make_release(tmp_path / 'r'), tmp_path / 'z')
    with zipfile.ZipFile(zipped / 'imigue_rgb_phase1.zip') as file:
        file.extractall(zipped / 'by hand')
    _, report = prepared(zipped)
    assert not report.deviations and not (zipped / 'imigue_rgb_phase1').exists()


@pytest.mark.parametrize('entry, message', [
    ('../evil.csv', "'../evil.csv' would be written outside the folder bad"),
    ('/tmp/evil.csv', 'would be written outside'),
    ('a\\..\\..\\evil.csv', 'would be written outside'),
    ('C:/evil.csv', 'would be written outside'),
])
def test_zip_that_climbs_out(tmp_path, entry, message):
    root = make_release(tmp_path / 'r')
    with zipfile.ZipFile(root / 'bad.zip', 'w') as file:
        info = zipfile.ZipInfo(entry.replace('\\', '/') if entry[0] == 'a' else entry)
        info.filename = entry
        file.writestr('0001_label.csv', '1,2,3')
        file.writestr(info, 'evil')
    _, report = prepared(root)
    assert message in details(report, archives.REFUSED)[0]
    assert not list(tmp_path.rglob('evil*')) and not (root / 'bad').exists()
    assert report.clips['train'] == 2


def test_zip_that_is_cut_off_or_damaged(tmp_path):
    root = make_release(tmp_path / 'r')
    zipped = zip_release(root, tmp_path / 'z')
    data = (zipped / 'imigue_rgb_phase1.zip').read_bytes()
    (zipped / 'again.zip').write_bytes(data[:len(data) // 2])
    place = data.index(b'mdat') + 50  # inside the first video
    (zipped / 'imigue_rgb_phase1.zip').write_bytes(data[:place] + b'xx' + data[place + 2:])
    _, report = prepared(zipped)
    refused = details(report, archives.REFUSED)
    assert any('incomplete download' in text for text in refused)
    assert any('0001.mp4 is damaged' in text for text in refused)
    assert report.clips == dict(train=0, val=2, test=2)


@pytest.mark.parametrize('method', [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_inside_a_compressed_entry(tmp_path, method):
    """Each decompressor has an error of its own."""
    root = make_release(tmp_path / 'r')
    video = next(root.rglob('0001.mp4'))
    with zipfile.ZipFile(root / 'rgb.zip', 'w', method) as file:
        file.write(video, 'train_data/0001/0001.mp4')
        place = file.infolist()[0].header_offset + 30 + len('train_data/0001/0001.mp4')
    video.unlink()
    data = (root / 'rgb.zip').read_bytes()
    for spoilt in range(0, 60, 6):
        start = place + spoilt
        (root / 'rgb.zip').write_bytes(data[:start] + b'\xff' * 40 + data[start + 40:])
        report = Report()
        archives.unpack_archives(root, tmp_path / 'out', report)
        assert 'is damaged' in details(report, 'zip files')[0]
        assert not list(root.rglob('0001.mp4')) and not list(root.rglob('.*'))


def test_backslashes_and_entries_of_the_same_name(tmp_path):
    root = tmp_path / 'r'
    root.mkdir()
    with zipfile.ZipFile(root / 'labels.zip', 'w') as file:
        with pytest.warns(UserWarning, match='Duplicate name'):
            for text in ('1,0,3\n', '1,0,10\n'):
                file.writestr('train\\0001\\0001_label.csv', text)
    for _ in range(2):
        report = Report()
        archives.unpack_archives(root, tmp_path / 'out', report)
        path, = root.rglob('*.csv')
        assert path == root / 'labels/train/0001/0001_label.csv'
        assert path.read_text() == '1,0,10\n'
        assert 'is in it 2 times, the last one is used' in details(report, 'zip files')[0]


def test_encrypted_zip(tmp_path):
    zipped = zip_release(make_release(tmp_path / 'r'), tmp_path / 'z')
    data = bytearray((zipped / 'imigue_rgb_phase1.zip').read_bytes())
    for mark in (b'PK\x03\x04', b'PK\x01\x02'):
        place = data.index(mark) + (6 if mark[2] == 3 else 8)
        data[place] |= 1
    (zipped / 'x.zip').write_bytes(data)
    _, report = prepared(zipped)
    assert 'is encrypted: unpack it yourself' in details(report, archives.REFUSED)[0]


# ---- all of it


@pytest.mark.parametrize('layout, zipped', [('challenge', False), ('2023', True)])
def test_every_planted_defect_is_reported_and_costs_nothing_else(tmp_path, layout, zipped):
    release = make_full_release(tmp_path / 'r', videos_per_part=24, layout=layout, zipped=zipped,
                                defects='all')
    parts, report = prepared(tmp_path / 'r', workers=2)
    text = report.text()
    harmless = {'macosx_junk', 'extra_folder_level'}  # these are no defects of the data
    for planted in release.planted:
        if planted.name in harmless:
            continue
        if planted.name == 'variable_frame_rate':
            assert len(report.frame_rates) == 2
        elif planted.name == 'other_resolution':
            assert '48x64' in report.resolutions
        else:
            of_a_clip = planted.lost or planted.name.endswith(('stream', 'start'))
            wanted = (of_a_clip and planted.clip_id) or planted.video_id or planted.file
            assert wanted in text[text.index('\ndeviations:'):], planted
    lost = {clip_id for planted in release.planted for clip_id in planted.lost}
    may_lose = {clip_id for planted in release.planted for clip_id in planted.may_lose}
    # an incomplete file is to be fetched again, and not to be trained on in part
    cut_off = {planted.video_id for planted in release.planted
               if planted.name == 'damaged_faststart_mp4'}
    may_lose |= {clip[0] for clips in release.clips.values() for clip in clips
                 if clip[0][:4] in cut_off}
    for part, clips in release.clips.items():
        found = {row[0]: row for row in parts[part]}
        for clip_id, code, start, end in clips:
            if clip_id in found:
                _, _, first, last, label = found[clip_id]
                if clip_id not in lost | may_lose:
                    assert (first, last) == (start, end)
                assert label == (-1 if part == 'test' else 31 if code == 99 else code - 1)
            else:
                assert clip_id in lost | may_lose, clip_id
        assert len(found) == len(parts[part])


def test_joints_belong_to_their_frames(tmp_path):
    """The nose's x says the number of the frame."""
    release = make_full_release(tmp_path / 'r', videos_per_part=2, openpose_videos=1)
    prepared(tmp_path / 'r')
    with open(tmp_path / 'r-out/skeleton.pkl', 'rb') as file:
        clips = {clip['frame_dir']: clip for clip in pickle.load(file)['annotations']}
    for part in release.clips.values():
        for clip_id, _, start, end in part:
            expected = [nose_x(number, 64) for number in range(start, end + 1)]
            assert np.allclose(clips[clip_id]['keypoint'][0, :, 0, 0], expected, atol=1e-3)


# ---- targets that cannot be written to


def test_no_room_for_the_zips(tmp_path, monkeypatch):
    zipped = zip_release(make_release(tmp_path / 'r'), tmp_path / 'z')
    usage = archives.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(archives.shutil, 'disk_usage', lambda path: usage._replace(free=10))
    with pytest.raises(ReleaseError, match='needs 0.0 GB below .* 0.0 GB are free: make room'):
        prepared(zipped)


def test_full_target(tmp_path):
    root, out = make_release(tmp_path / 'r'), tmp_path / 'out'
    process = start(root, '--out', out, limit=200)
    process.join()
    message = process.message.recv()
    assert process.exitcode == 1
    assert 'cannot be written: File too large' in message and 'run again' in message
    assert not (out / 'train.csv').exists() and not (out / 'report.json').exists()
    assert not [path for path in out.rglob('*') if 'partial' in path.name]
    process = start(root, '--out', out)
    process.join()
    assert process.exitcode == 0 and (out / 'train.csv').exists()


def test_links_are_not_allowed(tmp_path, monkeypatch):
    """As on Windows without developer mode; a link made by hand is taken."""

    def refuse(*_, **__):
        raise OSError(errno.EPERM, 'A required privilege is not held by the client')

    root, out = make_release(tmp_path / 'r'), tmp_path / 'out'
    with monkeypatch.context() as patch:
        patch.setattr(prepare.Path, 'symlink_to', refuse)
        with pytest.raises(SystemExit, match=f'no link from {out}/videos to {root} can be made '
                                             r'here \(A required.*mklink /J "'):
            main(monkeypatch, root, '--out', out)
    (out / 'videos').symlink_to(root)
    with monkeypatch.context() as patch:
        patch.setattr(prepare.Path, 'symlink_to', refuse)
        main(monkeypatch, root, '--out', out)
    assert (out / 'train.csv').exists()


def test_target_that_is_no_folder(tmp_path, monkeypatch):
    root = make_release(tmp_path / 'r')
    (tmp_path / 'file').touch()
    with pytest.raises(SystemExit, match='file/cache cannot be written: Not a directory'):
        main(monkeypatch, root, '--out', tmp_path / 'file')
    (tmp_path / 'out' / 'videos').mkdir(parents=True)
    with pytest.raises(SystemExit, match='videos exists and is no link'):
        main(monkeypatch, root, '--out', tmp_path / 'out')
    with pytest.raises(SystemExit, match='nowhere is no folder'):
        main(monkeypatch, tmp_path / 'nowhere')
    with pytest.raises(SystemExit, match='workers must be at least 1, but got 0'):
        main(monkeypatch, root, '--workers', 0)


# ---- skeletons


def light_hand(num_frames, number=0.):
    """``(frames, 106)``; joint j of frame t is at (j + 1, t + 1) with the score 0.5."""
    rows = np.full((num_frames, 35, 3), .5)
    rows[:, :, 0] = np.arange(35) + 1 + number
    rows[:, :, 1] = np.arange(num_frames)[:, None] + 1
    # each hand's tips beside its own wrist
    rows[:, 25:30, 0], rows[:, 30:35, 0] = rows[:, 7:8, 0], rows[:, 4:5, 0]
    return np.concatenate([np.arange(num_frames)[:, None], rows.reshape(num_frames, -1)], axis=1)


def write_light_hand(path, rows, header=HEADER):
    lines = [header] if header else []
    path.write_text('\n'.join(lines + [','.join(map(str, row)) for row in rows]) + '\n')


def test_joints_by_hand(tmp_path):
    write_light_hand(tmp_path / '0001_light_hand.csv', light_hand(4))
    skeleton, notes = read_skeleton(tmp_path / '0001_light_hand.csv', 4)
    assert notes == [] and skeleton.shape == (4, 22, 3) and skeleton.dtype == np.float32
    xs = [*range(1, 9), *range(16, 20), *[8] * 5, *[5] * 5]
    for frame in range(4):
        assert skeleton[frame].tolist() == [[x, frame + 1, .5] for x in xs]


def test_joints_of_a_workbook(tmp_path):
    values = np.random.default_rng(0).random((3, 411)).round(3)
    write_xlsx(tmp_path / '0001_openpose.xlsx', values.astype(str).tolist())
    skeleton, _ = read_skeleton(tmp_path / '0001_openpose.xlsx', 3)
    places = [*range(8), *range(15, 19), 99, 103, 107, 111, 115, 120, 124, 128, 132, 136]
    for k, joint in enumerate(places):
        assert np.allclose(skeleton[:, k], values[:, 3 * joint:3 * joint + 3])


@pytest.mark.parametrize('change, first_row, last_row, noted', [
    (lambda rows: rows[:-1], 1, 0, ['has 3 rows for 4 frames; the others are missing']),
    (lambda rows: np.concatenate([rows, rows[-1:] + np.eye(1, 106)]), 1, 4,
     ['has 5 rows for 4 frames; the rest is left out']),
    (lambda rows: rows[1:], 0, 4, ['begins one frame late', 'has 3 rows for 4 frames']),
    (lambda rows: rows + np.eye(1, 106), 1, 4, ['its index begins at 1']),
    (lambda rows: rows + 5 * np.eye(1, 106), 1, 4, ['does not count the frames']),
])
def test_frames_too_few_or_too_many(tmp_path, change, first_row, last_row, noted):
    write_light_hand(tmp_path / '0001_light_hand.csv', change(light_hand(4)))
    skeleton, notes = read_skeleton(tmp_path / '0001_light_hand.csv', 4)
    assert (skeleton[0, 0, 1], skeleton[-1, 0, 1]) == (first_row, last_row)
    assert len(notes) == len(noted) and all(text in note for text, note in zip(noted, notes))


@pytest.mark.parametrize('header', [HEADER, 'frame' + ',x,y,s' * 35,
                                    ','.join(map(str, range(106))), None])
def test_header_is_never_a_frame(tmp_path, header):
    write_light_hand(tmp_path / '0001_light_hand.csv', light_hand(4), header)
    skeleton, notes = read_skeleton(tmp_path / '0001_light_hand.csv', 4)
    assert skeleton[:, 0, 1].tolist() == [1, 2, 3, 4]
    assert notes == ([] if header else ['has no header row; all rows are taken for frames'])


@pytest.mark.parametrize('value', ['nan', 'abc', '', 'inf'])
def test_values_that_are_no_numbers(tmp_path, value):
    rows = light_hand(4).tolist()
    rows[2][1] = value  # x of the nose
    write_light_hand(tmp_path / '0001_light_hand.csv', rows)
    skeleton, notes = read_skeleton(tmp_path / '0001_light_hand.csv', 4)
    assert skeleton[:, 0, 0].tolist() == [1, 1, 0, 1] and skeleton[2, 0, 1] == 3
    assert '1 values are no numbers' in notes[0] and 'row 3 of the data, column 2' in notes[0]


def test_skeletons_in_the_whole_run(tmp_path):
    root = make_release(tmp_path / 'r')
    good = light_hand(NUM_FRAMES)
    swapped = good.copy()
    swapped[:, 1 + 75:1 + 90], swapped[:, 1 + 90:] = good[:, 1 + 90:], good[:, 1 + 75:1 + 90]
    assert not hands_swapped(np.zeros((3, 22, 3)))
    for video_id, rows in (('0001', good), ('0011', swapped), ('0054', good[:0])):
        folder = next(root.rglob(f'{video_id}_label.csv')).parent
        write_light_hand(folder / f'{video_id}_light_hand.csv', rows)
    _, report = prepared(root)
    found = [(deviation.file[-20:-15], deviation.detail[:24]) for deviation in report.deviations]
    assert found == [
        ('/0011', 'seems to have left and r'), ('/0054', 'has 0 rows for 30 frames'),
        ('/0054', 'is empty: no joint in an')]
    with open(tmp_path / 'r-out/skeleton.pkl', 'rb') as file:
        clips = pickle.load(file)
    by_id = {clip['frame_dir']: clip for clip in clips['annotations']}
    assert clips['split']['train'] == ['0001_0', '0001_1']
    assert clips['split']['test'] == ['0054_0', '0054_1']
    clip = by_id['0001_1']
    assert (clip['label'], clip['total_frames'], clip['img_shape']) == (31, 18, (96, 128))
    assert clip['keypoint'].shape == (1, 18, 22, 2) and clip['keypoint_score'].shape == (1, 18, 22)
    assert clip['keypoint'][0, :, 0, 1].tolist() == list(range(13, 31))  # frames 12..29
    assert not by_id['0054_0']['keypoint'].any()
    # MMAction2's own dataset takes it
    from mmaction.datasets import PoseDataset
    dataset = PoseDataset(str(tmp_path / 'r-out/skeleton.pkl'), [], split='trainval')
    assert [dataset.get_data_info(k)['frame_dir'] for k in range(len(dataset))] == [
        '0001_0', '0001_1', '0011_0', '0011_1']


def test_converted_once(tmp_path, monkeypatch):
    root = make_release(tmp_path / 'r')
    folder = next(root.rglob('0001_label.csv')).parent
    write_light_hand(folder / '0001_light_hand.csv', light_hand(NUM_FRAMES))
    prepared(root)
    first = {path: path.stat().st_mtime_ns for path in (tmp_path / 'r-out/cache').iterdir()}
    assert len(first) == 4  # the facts of three videos and a skeleton
    prepared(root)
    assert {path: path.stat().st_mtime_ns for path in first} == first
    write_light_hand(folder / '0001_light_hand.csv', light_hand(NUM_FRAMES, number=7))
    prepared(root)
    changed = {path.name for path in first if path.stat().st_mtime_ns != first[path]}
    assert changed == {'0001.json', '0001.npy'}
    # what was deleted or spoilt there is made again
    cache = tmp_path / 'r-out/cache'
    (cache / '0001.npy').unlink()
    (cache / '0011.json').write_text('{')
    prepared(root)
    assert (cache / '0001.npy').exists() and json.loads((cache / '0011.json').read_text())


# ---- splits


def licensed_csv(path, rows):
    header = 'video_id,class,start_frame,end_frame,win_or_lose,subject_id'
    path.write_text('\n'.join([header, *(','.join(map(str, row)) for row in rows)]) + '\n')
    return path


def test_subjects(tmp_path):
    root = make_release(tmp_path / 'r')
    rows = [(1, 17, 0, 9, 'w', 2), (1, 99, 12, 29, 'w', 2), (11, 1, 3, 7, 'l', 1),
            (11, 1, 8, 20, 'l', 1), (54, 5, 3, 7, 'l', 72), (54, 6, 8, 20, 'l', 72)]
    table = licensed_csv(tmp_path / 'labels.csv', rows)
    parts, report = prepared(root, subjects=table)
    out = tmp_path / 'r-out'
    split = {name: read_annotations(str(out / f'{name}.csv'), 32) for name in (
        'xsub_train', 'xsub_test')}
    assert [clip['clip_id'] for clip in split['xsub_train']] == ['0001_0', '0001_1']
    assert [clip['label'] for clip in split['xsub_test']] == [0, 0, 4, 5]
    assert [row[-1] for row in parts['test']] == [-1, -1]
    assert 'published: 13936' in report.splits['xsub_train, xsub_test']


def test_licensed_release(tmp_path):
    root = tmp_path / 'r'
    for folder, video_id in (('iMiGUE_RGB_Phase1/imigue_rgb_train', '0001'),
                             ('iMiGUE_RGB_Phase1/imigue_rgb_validate', '0011'),
                             ('iMiGUE_RGB_Phase2/imigue_rgb_test', '0054')):
        (root / folder / video_id).mkdir(parents=True)
        write_video(root / folder / video_id / f'{video_id}.mp4', NUM_FRAMES)
    (root / 'Label').mkdir()
    licensed_csv(root / 'Label/labels_20200831.csv', [
        (1, 17, 0, 9, 'w', 2), (54, 5, 3, 7, 'l', 72), (1, 99, 12, 290, 'w', 2),
        (11, 1, 3, 7, 'l', 1), ('x', 1, 3, 7, 'l', 1)])
    parts, report = prepared(root)
    assert [row[0:1] + row[2:] for row in parts['train']] == [('0001_0', 0, 9, 16),
                                                             ('0001_1', 12, 29, 31)]
    assert [row[-1] for row in parts['test']] == [-1]
    assert len(details(report, 'clips clamped')) == 1
    assert details(report, labels.ROWS) == ['line 6: video_id is no number; left out']
    assert (tmp_path / 'r-out/xsub_test.csv').is_file()


def test_table_that_numbers_the_clips_otherwise(tmp_path):
    """A clip id means one range: in no split it may stand for another one than in the parts."""
    root = make_release(tmp_path / 'r', rows='17,0,9\n99,12,29\n5,3,4\n')
    (root / 'labels.csv').write_text(
        'video_id,class,start_frame,end_frame,subject_id\n1,99,12,29,2\n1,17,0,9,2\n1,5,3,4,2\n'
        '54,6,3,7,1\n54,7,8,19,1\n')
    parts, report = prepared(root)
    xsub = {split: [clip['clip_id'] for clip in read_annotations(
        str(tmp_path / f'r-out/xsub_{split}.csv'), 32)] for split in ('train', 'test')}
    assert xsub == dict(train=['0001_2'], test=['0054_0'])
    assert sorted(details(report, 'clips that the table has otherwise')) == [
        '0001_0: 12..29, label 31, but 0..9, label 16 in the label file; in no cross-subject split',
        '0001_1: 0..9, label 16, but 12..29, label 31 in the label file; in no cross-subject split',
        '0054_1: 8..19, label 6, but 8..20, label -1 in the label file; in no cross-subject split']


def test_what_an_earlier_run_left(tmp_path):
    """Splits and skeletons that this run does not make would pass for its own."""
    root, out = make_release(tmp_path / 'r'), tmp_path / 'r-out'
    table = root / 'labels.csv'
    table.write_text('video_id,class,start_frame,end_frame,subject_id\n'
                     '1,17,0,9,2\n1,99,12,29,2\n11,1,3,7,1\n')
    skeleton = next(root.rglob('0001_label.csv')).with_name('0001_light_hand.csv')
    skeleton.write_text(f'{HEADER}\n' + f'0{",5" * 105}\n' * NUM_FRAMES)
    prepared(root)
    mine = out / 'my_split.csv'
    mine.write_text('mine')
    names = {'xsub_train.csv', 'xsub_test.csv', 'xsub_train.txt', 'xsub_test.txt', 'skeleton.pkl'}
    before = {path.name for path in out.iterdir()}
    assert names < before
    table.unlink()
    skeleton.unlink()
    prepared(root)
    assert {path.name for path in out.iterdir()} == before - names


def test_form_of_the_subjects_table(tmp_path):
    table = licensed_csv(tmp_path / 'labels.csv', [(1, 17, 0, 9, 'w', 2)])
    table.write_bytes('\ufeff'.encode() + table.read_bytes().replace(b'\n', b'\r\n'))
    report = Report()
    found = labels.read_licensed_csv(table, 'labels.csv', report)
    assert found.subjects == {'0001': 2} and found.rows['0001'][0].frames == (0, 9)
    assert details(report, labels.FORM) == [
        'has a byte order mark, Windows line ends; read all the same']


def test_subjects_table_that_is_none(tmp_path):
    (tmp_path / 'x.csv').write_text('a,b\n1,2\n')
    with pytest.raises(ReleaseError, match='x.csv: the header lacks video_id, class'):
        prepared(make_release(tmp_path / 'r'), subjects=tmp_path / 'x.csv')


def test_hold_out_keeps_people_and_classes_apart():
    rng = np.random.default_rng(0)
    rows = [(f'{video:04d}_{k}', 'v', 0, 1, int(rng.choice([0, 1, 31], p=[.1, .3, .6])))
            for video in range(200) for k in range(int(rng.integers(1, 60)))]
    subjects = {f'{video:04d}': video % 70 for video in range(200)}
    for who in (subjects, {}):
        split = segments.hold_out(rows, who)
        sides = [{who.get(row[0][:4], row[0][:4]) for row in part} for part in split.values()]
        assert not sides[0] & sides[1]
        assert sorted(split['holdout_train'] + split['holdout_val']) == sorted(rows)
        assert .08 < len(split['holdout_val']) / len(rows) < .12
        for label, share in ((0, .1), (1, .3), (31, .6)):
            held = np.mean([row[-1] == label for row in split['holdout_val']])
            assert abs(held - share) < .03
        assert segments.hold_out(rows, who) == split
    assert segments.hold_out(rows[:1], subjects) == {}


# ---- test labels


@pytest.mark.parametrize('text, message', [
    ('clip_id,label\n0054_0,5\n0054_1,32\n', r'line 3.*0\.\.31.*32'),
    ('clip_id,label\n0054_0,5\n0054_1,-1\n', 'line 3.*-1'),
    ('clip_id,label\n0054_0,x\n', 'line 2.*x'),
    ('clip_id,label\n0054_0,5\n0054_0,6\n', 'line 3: clip 0054_0 was already given'),
    ('id,target\n0054_0,5\n', 'header clip_id,label'),
    ('', 'header clip_id,label, but has None'),
])
def test_bad_test_labels(tmp_path, text, message):
    (tmp_path / 'answers.csv').write_text(text)
    with pytest.raises(ReleaseError, match=f'answers.csv.*{message}'):
        labels.read_test_labels(tmp_path / 'answers.csv')


def test_missing_test_labels(tmp_path):
    with pytest.raises(ReleaseError, match='nowhere.csv cannot be read'):
        labels.read_test_labels(tmp_path / 'nowhere.csv')
    (tmp_path / 'answers.csv').write_text('clip_id,label\n0054_0,5\n')
    with pytest.raises(ReleaseError, match='no label for clip 0054_1'):
        prepared(make_release(tmp_path / 'r'), test_labels=tmp_path / 'answers.csv')


# ---- cutting


def test_cut_clips_hold_the_frames_of_their_range(tmp_path):
    root = make_release(tmp_path / 'r', rows='17,0,9\n99,12,29\n5,29,29\n')
    report = prepare.prepare(root, tmp_path / 'out', cut=True, workers=2)
    assert not report.deviations
    segments_, clips = (read_annotations(str(tmp_path / f'out/trainval.{kind}'), 32)
                        for kind in ('csv', 'txt'))
    assert len(segments_) == len(clips) == 5
    for segment, clip in zip(segments_, clips):
        assert (segment['clip_id'], segment['label']) == (clip['clip_id'], clip['label'])
        with VideoFile(tmp_path / 'out/clips' / clip['video']) as reader:
            numbers = [read_number(image) for image in reader.read(range(len(reader)))]
            assert numbers == list(range(segment['start_frame'], segment['end_frame'] + 1))
            keys = reader._table.keys[:, 0]
            assert len(keys) == -(-len(reader) // 8)  # dense


@pytest.mark.parametrize('quarters', [0, 1, 2, 3])
@pytest.mark.parametrize('colours', [None, (1, 1), (1, 2), (5, 2)])
def test_cut_clip_looks_like_its_source(tmp_path, quarters, colours):
    """Rotation, colour matrix and range, of which a clip could lose the note."""
    path = tmp_path / 'v.mp4'
    write_video(path, 12, colours=colours, draw=lambda number, noise: noise + np.uint8(
        [180, 20, 5 * number]))
    rotate(path, quarters)
    assert cutting.cut_clips(path, 'v', [('c', 'v.mp4', 3, 8, 0)], tmp_path) == (1, [])
    with VideoFile(path) as source, VideoFile(tmp_path / 'c.mp4') as clip:
        expected, images = source.read(range(3, 9)), clip.read(range(6))
    for image, other in zip(images, expected):
        assert image.shape == other.shape
        difference = image.astype(float) - other
        assert np.abs(difference.mean(axis=(0, 1))).max() < 2 and np.abs(difference).mean() < 4


@pytest.mark.parametrize('size, expected', [
    ((1280, 720), (456, 256)), ((1080, 1920), (256, 456)), ((64, 48), (64, 48)),
    ((333, 257), (332, 256)), ((65, 49), (64, 48))])
def test_size_of_clips(size, expected):
    assert cutting.clip_size(*size) == expected


def test_second_cut_does_what_is_missing_or_has_changed(tmp_path, capsys):
    root, out = make_release(tmp_path / 'r'), tmp_path / 'out'
    prepare.prepare(root, out, cut=True)
    first = {path: path.stat().st_mtime_ns for path in (out / 'clips').iterdir()}
    content = {path: path.read_bytes() for path in first}
    broken, gone, moved = (out / f'clips/{name}.mp4' for name in ('0001_0', '0011_0', '0054_1'))
    broken.write_bytes(content[broken][:100])
    gone.unlink()
    label_file = next(root.rglob('0054_label.csv'))
    label_file.write_text(label_file.read_text().replace('8,20', '8,21'))
    prepare.prepare(root, out, cut=True)
    assert '3 clips were cut' in capsys.readouterr().out
    assert {path for path in first if path.stat().st_mtime_ns != first[path]} == {
        broken, gone, moved}
    assert broken.read_bytes() == content[broken] and gone.read_bytes() == content[gone]
    with VideoFile(moved) as reader:
        assert len(reader) == 14


def test_video_of_the_same_size_is_cut_anew(tmp_path, capsys):
    root, out = make_release(tmp_path / 'r'), tmp_path / 'out'
    video, clip = next(root.rglob('0001.mp4')), out / 'clips/0001_0.mp4'
    prepare.prepare(root, out, cut=True)
    size = video.stat().st_size
    write_video(video, NUM_FRAMES, crf='35', draw=lambda number, noise: draw_number(
        100 + number, noise))
    missing = size - video.stat().st_size
    with open(video, 'ab') as file:  # a box that readers pass over
        file.write(struct.pack('>I4s', missing, b'free').ljust(missing, b'\0'))
    assert video.stat().st_size == size
    prepare.prepare(root, out, cut=True)
    assert '2 clips were cut' in capsys.readouterr().out
    with VideoFile(clip) as reader:
        assert read_number(reader.read([3])[0]) == 103


def test_damage_costs_its_clips_alone(tmp_path):
    root = make_release(tmp_path / 'r', rows='17,0,9\n99,12,29\n')
    video = next(root.rglob('0001.mp4'))
    write_video(video, NUM_FRAMES, key_frames=10)
    data = video.read_bytes()
    place = data.index(b'mdat') + int((len(data) - data.index(b'mdat')) * .45)
    video.write_bytes(data[:place] + bytes(3000) + data[place + 3000:])
    report = prepare.prepare(root, tmp_path / 'out', cut=True)
    assert details(report, 'clips that could not be cut')[0].startswith('0001_1 was not cut')
    assert (tmp_path / 'out/clips/0001_0.mp4').exists()
    assert not (tmp_path / 'out/clips/0001_1.mp4').exists()


def test_killed_at_any_moment(tmp_path, kills=3):
    """Killed and run again, it ends with the files of an unbroken run, byte for byte."""
    rows = ''.join(f'{1 + k % 31},{k},{k + 8}\n' for k in range(20))
    root = make_release(tmp_path / 'r', rows=rows)

    def contents(out):
        return {path.relative_to(out): path.read_bytes() for path in sorted(out.rglob('*'))
                if path.is_file() and 'videos' not in path.parts}

    arguments = [root, '--cut', '--workers', 2, '--out']
    before = time.time()
    process = start(*arguments, tmp_path / 'whole')
    process.join()
    assert process.exitcode == 0
    length, chance = time.time() - before, random.Random(0)
    for _ in range(kills):
        process = start(*arguments, tmp_path / 'killed')
        time.sleep(chance.uniform(.1, 1.) * length)
        process.kill()  # the tool alone: its workers have to see it
        process.join()
    process = start(*arguments, tmp_path / 'killed')
    process.join()
    assert process.exitcode == 0
    assert contents(tmp_path / 'killed') == contents(tmp_path / 'whole')
    assert not list((tmp_path / 'killed').rglob('*partial*'))


@pytest.mark.parametrize('end', [signal.SIGCONT, signal.SIGKILL])
def test_second_run_at_once_is_refused(tmp_path, monkeypatch, end):
    """Whether the first goes on or is killed, the folder is free after it."""
    root, out = make_release(tmp_path / 'r'), tmp_path / 'out'
    first = start(root, '--out', out, '--cut', '--workers', 2)
    while not (out / 'cache/0001.json').exists():
        assert first.is_alive()
        time.sleep(.001)
    os.kill(first.pid, signal.SIGSTOP)
    try:
        with pytest.raises(SystemExit) as refused:
            main(monkeypatch, root, '--out', out)
        assert str(refused.value) == (
            f'another process writes into {out} and holds {out}/.lock: wait for it to finish, or '
            'choose another folder')
        assert not (out / 'train.csv').exists()
        main(monkeypatch, root, '--out', tmp_path / 'other')
    finally:
        os.kill(first.pid, end)
        first.join()
    assert first.exitcode == (0 if end == signal.SIGCONT else -signal.SIGKILL)
    main(monkeypatch, root, '--out', out)
    assert (out / 'train.csv').read_bytes() == (tmp_path / 'other/train.csv').read_bytes()


def test_file_system_without_locks(tmp_path, monkeypatch):

    def fail(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, 'flock', fail)
    root, out = make_release(tmp_path / 'r'), tmp_path / 'out'
    with pytest.warns(UserWarning, match='out is on a file system without locks'):
        prepare.prepare(root, out)
    assert (out / 'train.csv').exists()


def test_control_c_says_so_in_one_line(tmp_path, root):
    release = make_release(tmp_path / 'r', rows='17,0,29\n' * 300)
    process = subprocess.Popen(
        [sys.executable, root / 'tools/data/prepare_imigue.py', release, '--out', tmp_path / 'out',
         '--cut', '--workers', '2'], stderr=subprocess.PIPE, start_new_session=True,
        env=dict(os.environ, PYTHONPATH=str(root)))
    said = b''
    while not re.search(rb'cutting: +[1-9]', said):
        said += process.stderr.read1()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the workers too
    said += process.stderr.read()
    assert process.wait() == 130, said.decode()
    assert b'Traceback' not in said and said.rstrip().splitlines()[-1].startswith(b'stopped; what')
    assert not list((tmp_path / 'out').rglob('*.partial'))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_twenty_times(tmp_path):
    test_killed_at_any_moment(tmp_path, kills=20)

"""From a release's folders to annotation files."""
import json
import subprocess
import sys

import prepare_imigue as prepare
import pytest
from numbered_video import write_video

from gaie_mmaction.datasets.annotations import read_annotations

LAYOUTS = {
    'later': ('imigue_data_phase1/datasets/imigue_skeleton_{}/{}',
              'imigue_data_phase2/imigue_skeleton_test/{}'),
    '2023': ('imigue_data_phase1/imigue_skeleton_{}/{}',
             'imigue_data_phase2/imigue_skeleton_test/{}'),
    'one more level': ('a/b/datasets/imigue_skeleton_{}/x/{}', 'c/imigue_skeleton_test/y/{}'),
}


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
        write_video(root / videos[video_id] / f'{video_id}.mp4', 30)
    return root


def run(*arguments):
    return subprocess.run([sys.executable, prepare.__file__, *map(str, arguments)],
                          capture_output=True, text=True)


@pytest.mark.parametrize('layout', LAYOUTS)
def test_parts(tmp_path, layout):
    parts, report = prepare.prepare(make_release(tmp_path, layout), None)
    video = 'imigue_rgb_phase1/train_data/0001/0001.mp4'
    assert parts['train'] == [('0001_0', video, 0, 9, 16), ('0001_1', video, 12, 29, 31)]
    assert [row[0] for row in parts['val']] == ['0011_0', '0011_1']
    assert [row[-1] for row in parts['test']] == [-1, -1]
    assert report.clips == dict(train=2, val=2, test=2)
    assert report.resolutions == {'128x96': 3} and report.frame_rates == {'25.00 frames/s': 3}


def test_whole_run(tmp_path):
    root, out = make_release(tmp_path / 'release'), tmp_path / 'out'
    (tmp_path / 'answers.csv').write_text('clip_id,label\n0054_0,5\n0054_1,31\n')
    for _ in range(2):  # a second run replaces the first
        result = run(root, '--out', out, '--test-labels', tmp_path / 'answers.csv')
        assert result.returncode == 0, result.stderr
    assert 'differs by -12891' in result.stdout
    clips = read_annotations(str(out / 'trainval.csv'), 32)
    assert [clip['clip_id'] for clip in clips] == ['0001_0', '0001_1', '0011_0', '0011_1']
    assert [clip['label'] for clip in read_annotations(str(out / 'test.csv'), 32)] == [5, 31]
    assert (out / 'videos' / clips[0]['video']).is_file()
    assert len((out / 'label_map.txt').read_text().splitlines()) == 32
    report = json.loads((out / 'report.json').read_text())
    assert report['clips_per_class']['train'] == {
        '16 Folding arms': 1, '31 Illustrative body language (not a micro-gesture)': 1
    }
    assert not list(out.glob('*.partial'))


def test_deviations_are_reported(tmp_path):
    rows = '17,0,30\n17,-2,5\n17,30,35\n17,9,8\n40,1,2\n1,29,29\n'
    parts, report = prepare.prepare(make_release(tmp_path, rows=rows), None)
    assert [row[0:1] + row[2:4] for row in parts['train']] == [('0001_0', 0, 29), ('0001_1', 0, 5),
                                                              ('0001_5', 29, 29)]
    assert report.clamped == ['0001_0: 0..30 to 0..29, the video has 30 frames',
                              '0001_1: -2..5 to 0..5, the video has 30 frames']
    assert report.dropped == ['0001_2: starts at frame 30, the video has 30',
                              '0001_3: ends at frame 8, before its start 9',
                              '0001_4: class 40 is none of 1..31 and 99']


def test_missing_video_is_reported(tmp_path):
    root = make_release(tmp_path)
    next(root.rglob('0011.mp4')).unlink()
    parts, report = prepare.prepare(root, None)
    assert parts['val'] == [] and report.missing_videos[0].startswith('0011 (val): no 0011.mp4')


@pytest.mark.parametrize('spoil, message', [
    (lambda root: next(root.rglob('0001_label.csv')).write_text('1,2\n'), '0001_label.csv, line 1'),
    (lambda root: next(root.rglob('0001_label.csv')).write_text('1,2,3\na,2,3\n'), 'line 2.*three'),
    (lambda root: next(root.rglob('0001.mp4')).write_text('no video'), '0001.mp4 cannot be opened'),
    (lambda root: [path.unlink() for path in root.rglob('*_label.csv')],
     'no <VID>_label.csv below'),
    (lambda root: (root / '0001.mp4').write_text(''), 'video 0001 occurs twice'),
    (lambda root: next(root.rglob('0001.mp4')).write_text(''), '0001.mp4 cannot be opened'),
    (lambda root: [path.unlink() for path in root.rglob('*.mp4')], 'no <VID>.mp4 below'),
    (lambda root: next(root.rglob('0001_label.csv')).write_bytes(b'PK\xff\xfe'),
     '0001_label.csv cannot be read as a csv'),
    (lambda root: (next(root.rglob('imigue_skeleton_test')) / '0001_label.csv').write_text('1,2,3'),
     'video 0001 has two label files'),
])
def test_bad_release(tmp_path, spoil, message):
    root = make_release(tmp_path)
    spoil(root)
    with pytest.raises(prepare.ReleaseError, match=message):
        prepare.prepare(root, None)


def test_every_code_becomes_its_label(tmp_path):
    codes = [*range(1, 32), 99]
    rows = ''.join(f'{code},0,5\n' for code in codes)
    parts, report = prepare.prepare(make_release(tmp_path, rows=rows), None)
    assert [row[-1] for row in parts['train']] == list(range(32))
    assert parts['train'][10][0] == '0001_10'  # in order of the rows, not of the letters
    assert sum(report.clips_per_class['train'].values()) == 32 and not report.dropped


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
    with pytest.raises(prepare.ReleaseError, match=f'answers.csv.*{message}'):
        prepare.read_test_labels(tmp_path / 'answers.csv')


def test_missing_test_labels(tmp_path):
    with pytest.raises(prepare.ReleaseError, match='nowhere.csv cannot be read'):
        prepare.read_test_labels(tmp_path / 'nowhere.csv')


def test_command_line_errors(tmp_path):
    result = run(tmp_path / 'nowhere')
    assert result.returncode == 1 and 'is no folder' in result.stderr
    root = make_release(tmp_path / 'release')
    (tmp_path / 'answers.csv').write_text('clip_id,label\n0054_0,5\n')
    result = run(root, '--out', tmp_path / 'out', '--test-labels', tmp_path / 'answers.csv')
    assert result.returncode == 1 and 'no label for clip 0054_1' in result.stderr
    (tmp_path / 'out' / 'videos').mkdir(parents=True)
    result = run(root, '--out', tmp_path / 'out')
    assert result.returncode == 1 and 'is no link' in result.stderr

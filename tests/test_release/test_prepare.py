"""From a release to annotation files: whole runs, the command line, and interruptions."""
import errno
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import pytest
from tiny_release import TOOL, make_release, prepared, run_tool, start_tool

from gaie_mmaction.datasets.annotations import read_annotations
from gaie_mmaction.release import prepare


def test_every_code_becomes_its_label(tmp_path):
    rows = ''.join(f'{code},{code % 9},9\n' for code in (*range(1, 32), 99))
    parts, report = prepared(make_release(tmp_path / 'r', rows=rows))
    video = 'imigue_rgb_phase1/train_data/0001/0001.mp4'
    # in order of the rows, not of the letters
    assert parts['train'] == [(f'0001_{k}', video, (k + 1 if k < 31 else 99) % 9, 9, k)
                              for k in range(32)]
    assert [row[0] for row in parts['val']] == ['0011_0', '0011_1']
    assert [row[-1] for row in parts['test']] == [-1, -1]
    assert report.clips == dict(train=32, val=2, test=2) and not report.deviations
    assert report.resolutions == {'128x96': 3} and report.frame_rates == {'25.00 frames/s': 3}
    assert sum(report.clips_per_class['train'].values()) == 32


def test_whole_run_from_the_command_line(tmp_path, capsys):
    """Blanks and other letters in the paths; a second run replaces the first."""
    root, out = make_release(tmp_path / 'iMiGUE données 数据'), tmp_path / 'my out'
    (tmp_path / 'answers.csv').write_text('clip_id,label\n0054_0,5\n0054_1,31\n')
    for _ in range(2):
        run_tool(root, '--out', out, '--test-labels', tmp_path / 'answers.csv')
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
        '16 Folding arms': 1, '31 Illustrative body language (not a micro-gesture)': 1}
    assert not [path for path in out.rglob('*') if 'partial' in path.name]


def test_folder_names_that_lose_labels_end_with_1(tmp_path):
    """What can be used is written all the same; a video without labels does not count."""
    root = make_release(tmp_path / 'r')
    next(root.rglob('imigue_skeleton_validate')).rename(root / 'invalid')
    next(root.rglob('validation_data')).rename(root / 'videos')
    (root / 'videos/x.mp4').write_bytes(next(root.rglob('0011.mp4')).read_bytes())
    with pytest.raises(SystemExit, match='Labelled videos left out: 1, listed as') as end:
        run_tool(root, '--out', tmp_path / 'out')
    assert end.value.code != 0
    assert len(read_annotations(str(tmp_path / 'out/train.csv'), 32)) == 2
    assert len(read_annotations(str(tmp_path / 'out/trainval.csv'), 32)) == 2
    assert '\nunknown part: 2\n' in (tmp_path / 'out/report.txt').read_text()


def test_full_target(tmp_path):
    root, out = make_release(tmp_path / 'r'), tmp_path / 'out'
    process = start_tool(root, '--out', out, limit=200)
    process.join()
    message = process.message.recv()
    assert process.exitcode == 1
    assert 'cannot be written: File too large' in message and 'run again' in message
    assert not (out / 'train.csv').exists() and not (out / 'report.json').exists()
    assert not [path for path in out.rglob('*') if 'partial' in path.name]
    run_tool(root, '--out', out)
    assert (out / 'train.csv').exists()


def test_links_are_not_allowed(tmp_path, monkeypatch):
    """As on Windows without developer mode; a link made by hand is taken."""
    refuse = Mock(side_effect=OSError(errno.EPERM, 'A required privilege is not held'))
    root, out = make_release(tmp_path / 'r'), tmp_path / 'out'
    with monkeypatch.context() as patch:
        patch.setattr(Path, 'symlink_to', refuse)
        with pytest.raises(SystemExit, match=f'no link from {out}/videos to {root} can be made '
                                             r'here \(A required.*mklink /J "'):
            run_tool(root, '--out', out)
        os.symlink(root, out / 'videos')
        run_tool(root, '--out', out)
    assert (out / 'train.csv').exists()


def test_arguments_that_are_refused(tmp_path):
    root = make_release(tmp_path / 'r')
    (tmp_path / 'file').touch()
    (tmp_path / 'out' / 'videos').mkdir(parents=True)
    for message, *arguments in (
            ('file/cache cannot be written: Not a directory', root, '--out', tmp_path / 'file'),
            ('videos exists and is not a link', root, '--out', tmp_path / 'out'),
            ('nowhere is not a folder', tmp_path / 'nowhere'),
            ('workers must be at least 1, but got 0', root, '--workers', 0)):
        with pytest.raises(SystemExit, match=message):
            run_tool(*arguments)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize('kills', [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_any_moment(tmp_path, kills):
    """Killed and run again, it ends with the files of an unbroken run, byte for byte."""
    rows = ''.join(f'{1 + k % 31},{k},{k + 8}\n' for k in range(20))
    root = make_release(tmp_path / 'r', rows=rows)

    def contents(out):
        return {path.relative_to(out): path.read_bytes() for path in sorted(out.rglob('*'))
                if path.is_file() and 'videos' not in path.parts}

    arguments = [root, '--cut', '--workers', 2, '--out']
    before = time.time()
    run_tool(*arguments, tmp_path / 'whole')
    length, chance = time.time() - before, random.Random(0)
    for _ in range(kills):
        process = start_tool(*arguments, tmp_path / 'killed')
        time.sleep(chance.uniform(.1, 1.) * length)
        process.kill()  # the tool alone: its workers have to see it
        process.join()
    run_tool(*arguments, tmp_path / 'killed')
    assert contents(tmp_path / 'killed') == contents(tmp_path / 'whole')
    assert not list((tmp_path / 'killed').rglob('*partial*'))


@pytest.mark.parametrize('end', [signal.SIGCONT, signal.SIGKILL])
def test_second_run_at_once_is_refused(tmp_path, end):
    """Whether the first goes on or is killed, the folder is free after it."""
    root, out = make_release(tmp_path / 'r'), tmp_path / 'out'
    first = start_tool(root, '--out', out, '--cut', '--workers', 2)
    while not (out / 'cache/0001.json').exists():
        assert first.is_alive()
        time.sleep(.001)
    os.kill(first.pid, signal.SIGSTOP)
    try:
        with pytest.raises(SystemExit) as refused:
            run_tool(root, '--out', out)
        assert str(refused.value) == (
            f'another process writes into {out} and holds {out}/.lock: wait for it to finish, or '
            'choose another folder')
        assert not (out / 'train.csv').exists()
        run_tool(root, '--out', tmp_path / 'other')
    finally:
        os.kill(first.pid, end)
        first.join()
    assert first.exitcode == (0 if end == signal.SIGCONT else -signal.SIGKILL)
    run_tool(root, '--out', out)
    assert (out / 'train.csv').read_bytes() == (tmp_path / 'other/train.csv').read_bytes()


def test_file_system_without_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, 'flock', Mock(side_effect=OSError(errno.ENOSYS, 'no locks')))
    root, out = make_release(tmp_path / 'r'), tmp_path / 'out'
    with pytest.warns(UserWarning, match='out is on a file system without locks'):
        prepare(root, out)
    assert (out / 'train.csv').exists()


def interrupt(arguments, is_time, *options):
    """What the tool says to Ctrl-C, sent to it and its workers as a terminal does."""
    process = subprocess.Popen(
        [sys.executable, *options, TOOL, *arguments], stderr=subprocess.PIPE,
        start_new_session=True, env=dict(os.environ, PYTHONPATH=str(TOOL.parents[2])))
    while not is_time(process):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    said = process.stderr.read()
    assert process.wait() == 130 and b'Traceback' not in said, said.decode()[-2000:]
    assert said.rstrip().splitlines()[-1].startswith(b'stopped; finished work is kept')


def test_control_c(tmp_path):
    release, out = make_release(tmp_path / 'r', rows='17,0,29\n' * 300), tmp_path / 'out'
    interrupt([release, '--out', out, '--cut', '--workers', '2'],
              lambda _: time.sleep(.01) or any(out.glob('clips/*.mp4')))
    assert not list(out.rglob('*.partial'))


@pytest.mark.parametrize('module', [b'numpy', b'torch.nn', b'mmengine'])
def test_control_c_during_the_imports(tmp_path, module):
    interrupt([tmp_path], lambda process: process.stderr.readline().endswith(b' ' + module + b'\n'),
              '-X', 'importtime')

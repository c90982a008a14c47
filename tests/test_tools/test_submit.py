"""tools/submit.py: what it prints and how it ends."""
import os
import runpy
import sys
import zipfile

import pytest

from gaie_mmaction.datasets import IMIGUE_CLASSES
from gaie_mmaction.evaluation import write_submission

IDS = [f'{video:04d}_{k}' for video in (54, 60) for k in range(12)]
TARGETS = [0] * 3 + [31] * 21


@pytest.fixture
def submit(tmp_path, root, monkeypatch):
    """Runs the tool beside a prepared release; returns its message if it fails."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'data' / 'imigue').mkdir(parents=True)
    rows = ''.join(f'{clip_id},0054.mp4,0,9,-1\n' for clip_id in IDS)
    (tmp_path / 'data' / 'imigue' / 'test.csv').write_text(
        f'clip_id,video,start_frame,end_frame,label\n{rows}')

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['submit.py', *arguments])
        try:
            runpy.run_path(str(root / 'tools/submit.py'), run_name='__main__')
        except SystemExit as end:
            return end.code  # a text is printed to stderr, and the exit status is 1
        return None

    return run


@pytest.mark.parametrize('name, format', [('prediction.csv', '2025'), ('prediction.zip', '2025'),
                                          ('Submission.zip', '2023')])
def test_ok(submit, capsys, name, format):
    write_submission(name, IDS, TARGETS, format)
    assert submit('check', name) is None
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f'{name}: ok, 24 rows, format {format} ({name[-3:]})'
    assert len(lines) == 34  # and no warning: 87.5 % are of one class
    assert lines[2].split(maxsplit=2) == ['0', '3', IMIGUE_CLASSES[0]]
    assert lines[33].split(maxsplit=2) == ['31', '21', IMIGUE_CLASSES[31]]
    assert sum(int(line.split()[1]) for line in lines[2:]) == 24
    if name == 'prediction.csv':
        submit('check', '.')  # the folder with it
        assert capsys.readouterr().out.splitlines()[1:] == lines[1:]


def test_one_class_takes_nearly_all(submit, capsys):
    write_submission('a.csv', IDS, [3] * 22 + [4] * 2)
    submit('check', 'a.csv')
    assert capsys.readouterr().out.splitlines()[-1] == (
        f'warning: 91.7 % of the clips are predicted as class 3 ({IMIGUE_CLASSES[3]})')


def test_faults(submit, capsys):
    write_submission('a.csv', IDS[1:] + ['0099_0'], TARGETS[1:] + [99])
    assert submit('check', 'a.csv').splitlines() == [
        "  targets that are not integers in 0..31: 1, e.g. line 25: '99'",
        "  unknown clips: 1, e.g. line 25: '0099_0'", '  missing clips: 1, e.g. 0054_0']
    assert capsys.readouterr().out == (
        'a.csv: format 2025 (csv), 24 rows for 24 clips of data/imigue/test.csv, '
        '3 kinds of faults\n')
    write_submission('a.csv', IDS[8:], TARGETS[8:])
    assert submit('check', 'a.csv') == ('  missing clips: 8, e.g. 0054_0; 0054_1; 0054_2; 0054_3; '
                                        '0054_4; ...')


def write_zip(path, content, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, 'w', method) as archive:
        archive.writestr('prediction.csv', content)


def damaged(path, at, value=0):
    content = bytearray(path.read_bytes())
    content[at] ^= value or 255
    path.write_bytes(content)


@pytest.mark.parametrize('write, said', [
    (lambda path: None, 'No such file or directory'),
    (lambda path: path.write_bytes(b'PK\x03\x04'), 'a.zip is a damaged or incomplete zip'),
    (lambda path: write_zip(path, 'Id,Target\n', zipfile.ZIP_LZMA), 'compressed by method 14'),
    (lambda path: write_zip(path, 'Id,Target\n', zipfile.ZIP_BZIP2), 'compressed by method 12'),
    (lambda path: (write_zip(path, 'Id,Target\n'), damaged(path, 46)), 'damaged or incomplete'),
    (lambda path: path.write_bytes(b'\xff\xfe'), 'a.zip is not a csv in UTF-8'),
    (lambda path: write_zip(path, bytes(2**21)), 'the limits are 4194304 bytes'),
    (os.mkfifo, 'a.zip is not a regular file'),
], ids=['absent', 'cut', 'lzma', 'bzip2', 'damaged', 'utf-16', 'bomb', 'fifo'])
def test_unreadable_files_are_one_line(submit, tmp_path, write, said):
    write(tmp_path / 'a.zip')
    message = submit('check', 'a.zip')
    assert said in message and 'a.zip' in message and '\n' not in message


@pytest.mark.parametrize('content, said', [
    (None, 'no.csv does not exist'), (b'\xff\xfe', 'no.csv'),
    (b'clip_id,video,start_frame,end_frame,label\n' + b'a' * 200_000, 'no.csv')])
def test_unreadable_annotations_are_one_line(submit, tmp_path, content, said):
    write_submission('a.csv', IDS, TARGETS)
    if content:
        (tmp_path / 'no.csv').write_bytes(content)
    message = submit('check', 'a.csv', '--ann-file', 'no.csv')
    assert said in message and '\n' not in message


def test_limits_can_be_raised(submit, tmp_path, capsys):
    text = 'Id,Target\n' + ''.join(f'{clip_id},0\n' for clip_id in IDS)
    write_zip(tmp_path / 'a.zip', text)
    assert '(--max-bytes) and 1 times (--max-ratio)' in submit('check', 'a.zip', '--max-ratio', '1')
    (tmp_path / 'a.csv').write_text(text)
    assert submit('check', 'a.csv', '--max-bytes', '99') == (
        f'a.csv has {len(text)} bytes, and the limit is 99 (--max-bytes)')
    assert submit('check', 'a.csv', '--max-bytes', str(len(text))) is None
    assert submit('check', 'a.csv', '--max', '99') == 2  # no abbreviations


def test_convert(submit, tmp_path, capsys):
    write_submission('prediction.csv', IDS, TARGETS)
    submit('convert', 'prediction.csv', 'out/Submission.zip', '--format', '2023')
    assert capsys.readouterr().out == 'out/Submission.zip: 24 rows, format 2023\n'
    with zipfile.ZipFile('out/Submission.zip') as archive:
        rows = archive.read('Submission.csv').decode().splitlines()
    assert rows == [f'{clip_id},{target}' for clip_id, target in zip(IDS, TARGETS)]
    submit('convert', 'out/Submission.zip', 'back.csv')
    assert (tmp_path / 'back.csv').read_bytes() == (tmp_path / 'prediction.csv').read_bytes()
    assert 'must end in .zip' in submit('convert', 'back.csv', 'x.csv', '--format', '2023')
    write_submission('faulty.csv', IDS[1:], TARGETS[1:])
    submit('convert', 'faulty.csv', 'x.csv')
    assert not (tmp_path / 'x.csv').exists()

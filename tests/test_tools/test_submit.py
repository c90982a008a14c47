"""tools/submit.py: what it prints and how it ends."""
import os
import zipfile

import pytest
from evaluating import write_annotations
from running import run_tool

from gaie_mmaction.datasets import IMIGUE_CLASSES
from gaie_mmaction.evaluation import write_submission

IDS = [f'{video:04d}_{k}' for video in (54, 60) for k in range(12)]
TARGETS = [0] * 3 + [31] * 21


@pytest.fixture(autouse=True)
def release(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'data' / 'imigue').mkdir(parents=True)
    write_annotations(tmp_path / 'data' / 'imigue' / 'test.csv', IDS)


def submit(*arguments):
    """Exit code or error message, of one that fails, and what was printed."""
    return run_tool('submit.py', *arguments)


@pytest.mark.parametrize('name, format', [('prediction.csv', '2025'), ('prediction.zip', '2025'),
                                          ('Submission.zip', '2023')])
def test_ok(name, format):
    write_submission(name, IDS, TARGETS, format)
    code, output = submit('check', name)
    lines = output.splitlines()
    assert code is None
    assert lines[0] == f'{name}: ok, 24 rows, format {format} ({name[-3:]})'
    assert len(lines) == 34  # and no warning: 87.5 % are of one class
    assert lines[2].split(maxsplit=2) == ['0', '3', IMIGUE_CLASSES[0]]
    assert lines[33].split(maxsplit=2) == ['31', '21', IMIGUE_CLASSES[31]]
    assert sum(int(line.split()[1]) for line in lines[2:]) == 24
    if name == 'prediction.csv':
        assert submit('check', '.')[1].splitlines()[1:] == lines[1:]  # the folder with it


def test_one_class_takes_nearly_all():
    write_submission('a.csv', IDS, [3] * 22 + [4] * 2)
    assert submit('check', 'a.csv')[1].splitlines()[-1] == (
        f'warning: 91.7 % of the clips are predicted as class 3 ({IMIGUE_CLASSES[3]})')


def test_faults():
    write_submission('a.csv', IDS[1:] + ['0099_0'], TARGETS[1:] + [99])
    code, output = submit('check', 'a.csv')
    assert code.splitlines() == [
        "  targets that are not integers in 0..31: 1, e.g. line 25: '99'",
        "  unknown clips: 1, e.g. line 25: '0099_0'", '  missing clips: 1, e.g. 0054_0']
    assert output == (
        'a.csv: format 2025 (csv), 24 rows for 24 clips of data/imigue/test.csv, '
        '3 kinds of faults\n')
    write_submission('a.csv', IDS[8:], TARGETS[8:])
    assert submit('check', 'a.csv')[0] == ('  missing clips: 8, e.g. 0054_0; 0054_1; 0054_2; '
                                           '0054_3; 0054_4; ...')


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
def test_unreadable_files_are_one_line(tmp_path, write, said):
    write(tmp_path / 'a.zip')
    message, _ = submit('check', 'a.zip')
    assert said in message and 'a.zip' in message and '\n' not in message


@pytest.mark.parametrize('content, said', [
    (None, 'no.csv does not exist'), (b'\xff\xfe', 'no.csv'),
    (b'clip_id,video,start_frame,end_frame,label\n' + b'a' * 200_000, 'no.csv')])
def test_unreadable_annotations_are_one_line(tmp_path, content, said):
    write_submission('a.csv', IDS, TARGETS)
    if content:
        (tmp_path / 'no.csv').write_bytes(content)
    message, _ = submit('check', 'a.csv', '--ann-file', 'no.csv')
    assert said in message and '\n' not in message


def test_limits_can_be_raised(tmp_path):
    text = 'Id,Target\n' + ''.join(f'{clip_id},0\n' for clip_id in IDS)
    write_zip(tmp_path / 'a.zip', text)
    assert '(--max-bytes) and 1 times (--max-ratio)' in submit(
        'check', 'a.zip', '--max-ratio', 1)[0]
    (tmp_path / 'a.csv').write_text(text)
    assert submit('check', 'a.csv', '--max-bytes', 99)[0] == (
        f'a.csv has {len(text)} bytes, and the limit is 99 (--max-bytes)')
    assert submit('check', 'a.csv', '--max-bytes', len(text))[0] is None
    assert submit('check', 'a.csv', '--max', 99)[0] == 2  # no abbreviations


def test_convert(tmp_path):
    write_submission('prediction.csv', IDS, TARGETS)
    _, output = submit('convert', 'prediction.csv', 'out/Submission.zip', '--format', '2023')
    assert output == 'out/Submission.zip: 24 rows, format 2023\n'
    with zipfile.ZipFile('out/Submission.zip') as archive:
        rows = archive.read('Submission.csv').decode().splitlines()
    assert rows == [f'{clip_id},{target}' for clip_id, target in zip(IDS, TARGETS)]
    submit('convert', 'out/Submission.zip', 'back.csv')
    assert (tmp_path / 'back.csv').read_bytes() == (tmp_path / 'prediction.csv').read_bytes()
    assert 'must end in .zip' in submit('convert', 'back.csv', 'x.csv', '--format', '2023')[0]
    write_submission('faulty.csv', IDS[1:], TARGETS[1:])
    submit('convert', 'faulty.csv', 'x.csv')
    assert not (tmp_path / 'x.csv').exists()

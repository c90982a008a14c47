"""tools/submit.py: what it prints and how it ends."""
import zipfile

import pytest
import submit

from gaie_mmaction.datasets import IMIGUE_CLASSES
from gaie_mmaction.evaluation import write_submission

IDS = [f'{video:04d}_{k}' for video in (54, 60) for k in range(12)]
TARGETS = [0] * 3 + [31] * 21


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A prepared release where the tool looks for one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'data' / 'imigue').mkdir(parents=True)
    rows = ''.join(f'{clip_id},0054.mp4,0,9,-1\n' for clip_id in IDS)
    (tmp_path / 'data' / 'imigue' / 'test.csv').write_text(
        f'clip_id,video,start_frame,end_frame,label\n{rows}')
    return tmp_path


@pytest.mark.parametrize('name, format', [('prediction.csv', '2025'), ('prediction.zip', '2025'),
                                          ('Submission.zip', '2023')])
def test_ok(folder, capsys, name, format):
    write_submission(name, IDS, TARGETS, format)
    submit.main(['check', name])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f'{name}: ok, 24 rows, format {format} ({name[-3:]})'
    assert len(lines) == 34  # and no warning: 87.5 % are of one class
    assert lines[2].split(maxsplit=2) == ['0', '3', IMIGUE_CLASSES[0]]
    assert lines[33].split(maxsplit=2) == ['31', '21', IMIGUE_CLASSES[31]]
    assert sum(int(line.split()[1]) for line in lines[2:]) == 24


def test_one_class_takes_nearly_all(folder, capsys):
    write_submission('a.csv', IDS, [3] * 22 + [4] * 2)
    submit.main(['check', 'a.csv'])
    assert capsys.readouterr().out.splitlines()[-1] == (
        f'warning: 91.7 % of the clips are predicted as class 3 ({IMIGUE_CLASSES[3]})')


def fail(arguments):
    with pytest.raises(SystemExit) as end:
        submit.main(arguments)
    assert isinstance(end.value.code, str)  # printed to stderr; the exit status is 1
    return end.value.code


def test_faults(folder, capsys):
    write_submission('a.csv', IDS[1:] + ['0099_0'], TARGETS[1:] + [99])
    assert fail(['check', 'a.csv']).splitlines() == [
        "  targets that are no integer in 0..31: 1, e.g. line 25: '99'",
        "  unknown clips: 1, e.g. line 25: '0099_0'", '  missing clips: 1, e.g. 0054_0']
    assert capsys.readouterr().out == (
        'a.csv: format 2025 (csv), 24 rows for 24 clips of data/imigue/test.csv, '
        '3 kinds of faults\n')


def test_long_lists_are_cut(folder):
    write_submission('a.csv', IDS[8:], TARGETS[8:])
    assert fail(['check', 'a.csv']) == ('  missing clips: 8, e.g. 0054_0; 0054_1; 0054_2; 0054_3; '
                                        '0054_4; ...')


def test_unreadable(folder):
    assert 'No such file or directory' in fail(['check', 'no.csv'])
    (folder / 'a.zip').write_bytes(b'PK\x03\x04')
    assert fail(['check', 'a.zip']).startswith('a.zip is a damaged or incomplete zip')
    write_submission('a.csv', IDS, TARGETS)
    assert 'no.csv does not exist' in fail(['check', 'a.csv', '--ann-file', 'no.csv'])


def test_convert(folder, capsys):
    write_submission('prediction.csv', IDS, TARGETS)
    submit.main(['convert', 'prediction.csv', 'out/Submission.zip', '--format', '2023'])
    assert capsys.readouterr().out == 'out/Submission.zip: 24 rows, format 2023\n'
    with zipfile.ZipFile('out/Submission.zip') as archive:
        rows = archive.read('Submission.csv').decode().splitlines()
    assert rows == [f'{clip_id},{target}' for clip_id, target in zip(IDS, TARGETS)]
    submit.main(['convert', 'out/Submission.zip', 'back.csv'])
    assert (folder / 'back.csv').read_bytes() == (folder / 'prediction.csv').read_bytes()
    assert 'must end in .zip' in fail(['convert', 'back.csv', 'x.csv', '--format', '2023'])
    write_submission('faulty.csv', IDS[1:], TARGETS[1:])
    fail(['convert', 'faulty.csv', 'x.csv'])
    assert not (folder / 'x.csv').exists()

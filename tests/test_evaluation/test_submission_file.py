"""Writing and checking the leaderboard's file."""
import io
import struct
import tracemalloc
import zipfile
from unittest.mock import Mock

import numpy as np
import pytest

from gaie_mmaction.evaluation import check_submission, write_submission
from gaie_mmaction.evaluation.submission_check import MAX_BYTES
from gaie_mmaction.evaluation.submission_file import submission_order

IDS = [f'{video:04d}_{k}' for video in (54, 60, 101) for k in range(12)]
TARGETS = [k % 32 for k in range(len(IDS))]
ROWS = [f'{clip_id},{target}' for clip_id, target in zip(IDS, TARGETS)]


def text_of(rows, header='Id,Target'):
    return '\n'.join(([header] if header else []) + rows) + '\n'


def write(path, content, members=None):
    """A csv, or a zip with the content under each name."""
    content = content.encode() if isinstance(content, str) else content
    if members is None:
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
            for member in members:
                archive.writestr(member, content)
    return str(path)


def faults(path, ids=IDS):
    report = check_submission(path, ids, 32)
    return {kind: (len(cases), cases[0]) for kind, cases in report.faults.items()}


def numbers(faults):
    return {kind: number for kind, (number, _) in faults.items()}


def test_order():
    ids = ['b', '0010_1', '9_10', 'a_10', '9_2', 'a_2', '_3', '10_0']
    assert sorted(ids, key=submission_order) == [
        '9_2', '9_10', '10_0', '0010_1', '_3', 'a_10', 'a_2', 'b']


@pytest.mark.parametrize('format, name', [('2025', 'a.csv'), ('2025', 'a.zip'), ('2023', 'b.zip')])
def test_written_files_pass(tmp_path, format, name):
    """Shuffled in, ordered out, the same bytes each time, and the check finds nothing."""
    contents, path = [], tmp_path / name
    for seed in range(2):
        order = np.random.default_rng(seed).permutation(len(IDS))
        write_submission(str(path), [IDS[k] for k in order], [TARGETS[k] for k in order], format)
        contents.append(path.read_bytes())
        report = check_submission(str(path), IDS[::-1], 32)
        assert report.faults == {}
        assert (report.format, report.container, report.num_rows) == (format, name[-3:], 36)
        assert list(report.targets.items()) == list(zip(IDS, TARGETS))
    assert contents[0] == contents[1]
    if name.endswith('zip'):
        with zipfile.ZipFile(io.BytesIO(contents[0])) as archive:
            member, = archive.namelist()
            assert archive.getinfo(member).date_time == (1980, 1, 1, 0, 0, 0)  # not that of today
            text = archive.read(member).decode()
        assert member == dict(zip(('2025', '2023'), ('prediction.csv', 'Submission.csv')))[format]
    else:
        text = contents[0].decode()
    assert text == text_of(ROWS, 'Id,Target' if format == '2025' else None)


def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    out = tmp_path / 'prediction.csv'
    out.write_text('old')
    monkeypatch.setattr('os.replace', Mock(side_effect=KeyboardInterrupt))
    for targets, error in (([3, 'no number'], ValueError), ([3], ValueError),
                           ([3, 4], KeyboardInterrupt)):
        with pytest.raises(error):
            write_submission(str(out), ['1_0', '1_1'], targets)
    assert [path.read_text() for path in tmp_path.iterdir()] == ['old']


@pytest.mark.parametrize('rows, expected', [
    (ROWS[:5] + ROWS[7:], {'missing clips': (2, '0054_5')}),
    (ROWS[:1] + ROWS, {'repeated clips': (1, 'line 3: 0054_0 as in line 2')}),
    (ROWS + ['0999_0,3', 'x,3'], {'unknown clips': (2, "line 38: '0999_0'")}),
    (ROWS[:3] + ['0054_3,32'] + ROWS[4:], {
        'targets that are not integers in 0..31': (1, "line 5: '32'")}),
    ([ROWS[1], ROWS[0]] + ROWS[2:], {
        'rows out of order (video id, then row number)': (1, 'line 3: 0054_0 after 0054_1')}),
    (sorted(ROWS), {  # as text 10 comes before 2
        'rows out of order (video id, then row number)': (24, 'line 6: 0054_2 after 0054_11')}),
    (['0054_0,0,1'] + ROWS[1:], {
        'rows without exactly two columns': (1, "line 2: '0054_0,0,1'"),
        'missing clips': (1, '0054_0')}),
    (ROWS[:1] + ['', '  '] + ROWS[1:], {'blank lines': (2, 'line 3')}),
    ([], {'missing clips': (36, '0054_0')}),
])
@pytest.mark.parametrize('member', [None, 'prediction.csv', 'Submission.csv'])
def test_faulty_rows(tmp_path, rows, expected, member):
    header = None if member == 'Submission.csv' else 'Id,Target'
    path = write(tmp_path / ('a.zip' if member else 'a.csv'), text_of(rows, header),
                 [member] if member else None)
    found = faults(path)
    if not rows:  # of an empty file the header is missing, too
        assert found['missing clips'] == expected['missing clips']
    elif header:
        assert found == expected
    else:  # the lines count from one less
        assert numbers(found) == numbers(expected)


@pytest.mark.parametrize('target', ['32', '-1', '3.0', '', ' 3', '3 ', '+3', 'x', '\u0663',
                                    '9' * 5000, 'nan', '1e1', '0x1'])
def test_wrong_targets(tmp_path, target):
    path = write(tmp_path / 'a.csv', text_of(ROWS[:4] + [f'0054_4,{target}'] + ROWS[5:]))
    assert faults(path) == {
        'targets that are not integers in 0..31': (1, f'line 6: {target[:80]!r}')}


@pytest.mark.parametrize('header', ['id,target', 'Id,Target,', 'Id, Target', 'video,label', '"Id"',
                                    None])
def test_wrong_header(tmp_path, header):
    path = write(tmp_path / 'a.csv', text_of(ROWS, header))
    line = header or ROWS[0]
    assert faults(path) == {'header other than Id,Target': (1, f'line 1: {line!r}')}
    path = write(tmp_path / 'a.zip', text_of(ROWS), ['Submission.csv'])
    assert faults(path) == {'header in a file without one': (1, "line 1: 'Id,Target'")}


def test_form(tmp_path):
    path = write(tmp_path / 'a.csv', '\ufeff' + text_of(ROWS).replace('\n', '\r\n'))
    assert faults(path) == {
        'byte order mark (BOM)': (1, 'before line 1'),
        'carriage returns (Windows line ends)': (37, 'line 1')}
    assert faults(write(tmp_path / 'a.csv', text_of(ROWS).rstrip('\n'))) == {}
    assert faults(write(tmp_path / 'a.txt', text_of(ROWS))) == {
        'wrong file name ending': (1, "the content is a csv, but the name ends in '.txt'")}
    assert faults(write(tmp_path / 'a.csv', text_of(ROWS), ['prediction.csv'])) == {
        'wrong file name ending': (1, "the content is a zip, but the name ends in '.csv'")}


def test_all_faults_at_once(tmp_path):
    rows = ROWS[2:6] + [ROWS[1], ROWS[1], '0054_6,99', 'y,1'] + ROWS[7:]
    assert numbers(faults(write(tmp_path / 'a.csv', text_of(rows, 'a,b')))) == {
        'header other than Id,Target': 1, 'missing clips': 1, 'repeated clips': 1,
        'targets that are not integers in 0..31': 1, 'unknown clips': 1,
        'rows out of order (video id, then row number)': 1}


def test_unreadable_files(tmp_path):
    path = tmp_path / 'a.zip'
    write(path, text_of(ROWS), ['prediction.csv'])
    whole = path.read_bytes()

    def refused(said, content, members=None):
        with pytest.raises(ValueError, match=said):
            check_submission(write(path, content, members), IDS, 32)

    for length in (len(whole) // 2, len(whole) - 1):
        refused('a.zip is a damaged or incomplete zip', whole[:length])
    for members in (['prediction.csv', 'Submission.csv'], ['folder/prediction.csv'], ['other.csv'],
                    ['prediction.csv', '__MACOSX/._prediction.csv'], []):
        refused(f'must hold one file.*but holds {len(members)}: ', text_of(ROWS), members)
    encrypted = bytearray(whole)
    for start in (whole.index(b'PK\x03\x04') + 6, whole.index(b'PK\x01\x02') + 8):
        encrypted[start] |= 1
    refused('a.zip cannot be unpacked.*password', bytes(encrypted))


def test_size_that_the_header_hides(tmp_path):
    """The header says 9 bytes, and 64 MiB follow: no more is read than the header says."""
    path = tmp_path / 'a.zip'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('prediction.csv', bytes(2**26))
    content = bytearray(path.read_bytes())
    for start in (content.index(b'PK\x03\x04') + 22, content.index(b'PK\x01\x02') + 24):
        content[start:start + 4] = struct.pack('<I', 9)
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ValueError, match='a.zip is a damaged or incomplete zip'):
        check_submission(str(path), IDS, 32)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MAX_BYTES


def test_any_single_change_is_found(tmp_path):
    """A byte changed at random: either a fault, or a different valid target."""
    rng = np.random.default_rng(0)
    whole = text_of(ROWS).encode()
    path = tmp_path / 'a.csv'
    for _ in range(300):
        changed = bytearray(whole)
        changed[rng.integers(len(whole))] = rng.integers(256)
        if bytes(changed) == whole:
            continue
        try:
            report = check_submission(write(path, bytes(changed)), IDS, 32)
        except ValueError:
            continue
        if not report.faults:
            assert list(report.targets) == IDS
            assert sum(a != b for a, b in zip(report.targets.values(), TARGETS)) == 1

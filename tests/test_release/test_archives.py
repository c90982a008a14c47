"""Zips: unpacked once, and nothing hostile gets out of them."""
import os
import re
import struct
import zipfile

import pytest
from tiny_release import details, make_release, prepared, zip_release

from gaie_mmaction.release import ReleaseError, Report, archives
from gaie_mmaction.release.layout import find_files


def unpack(root, **options):
    report = Report()
    archives.unpack_archives(root, root / 'out', report, **options)
    return details(report, archives.REFUSED)


def write_zip(path, *entries, method=zipfile.ZIP_STORED):
    """A zip of names and contents; names go in as they are."""
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, 'w', method) as file:
        for name, content in entries:
            info = zipfile.ZipInfo('x')
            info.filename, info.compress_type = name, method
            file.writestr(info, content)
    return path


def patch(path, field, value):
    """Overwrite a field of the first entry, given by its offsets in the two headers."""
    data = bytearray(path.read_bytes())
    for magic, (place, kind) in zip((b'PK\x03\x04', b'PK\x01\x02'), field):
        struct.pack_into(kind, data, data.index(magic) + place, value)
    path.write_bytes(data)


FLAGS, SIZE, VERSION = ((6, '<H'), (8, '<H')), ((22, '<I'), (24, '<I')), ((4, '<H'), (6, '<H'))


def test_zips_equal_folders(tmp_path):
    root = make_release(tmp_path / 'r')
    zipped = zip_release(root, tmp_path / 'z')
    with zipfile.ZipFile(zipped / 'imigue_rgb_phase1.zip') as file:
        file.extractall(zipped / 'by hand')
    parts, report = prepared(zipped)
    assert not report.deviations and not (zipped / 'imigue_rgb_phase1').exists()
    assert [[row._replace(video='') for row in rows] for rows in parts.values()] == [
        [row._replace(video='') for row in rows] for rows in prepared(root)[0].values()]
    before = {path: path.stat().st_mtime_ns for path in zipped.rglob('*.*')}
    prepared(zipped)
    assert {path: path.stat().st_mtime_ns for path in zipped.rglob('*.*')} == before


@pytest.mark.parametrize('in_place', [True, False])
def test_a_corrected_label_file_of_the_same_size(tmp_path, in_place):
    """It is unpacked in place of the old one; beside the old one, none of the two is used."""
    old, new = make_release(tmp_path / 'old'), make_release(tmp_path / 'new', '18,0,9\n99,12,29\n')
    root = tmp_path / 'r'
    root.mkdir()
    zip_release(old, tmp_path / 'a')
    zip_release(new, tmp_path / 'b')
    for name in ('imigue_skeleton_phase1', 'imigue_rgb_phase1'):
        (tmp_path / f'a/{name}.zip').rename(root / f'{name}.zip')
    assert [row.label for row in prepared(root)[0]['train']] == [16, 31]
    corrected = root / ('imigue_skeleton_phase1.zip' if in_place else 'corrected.zip')
    (tmp_path / 'b/imigue_skeleton_phase1.zip').replace(corrected)
    parts, report = prepared(root)
    assert [row.label for row in parts['train']] == ([17, 31] if in_place else [])
    assert bool(report.deviations) == (not in_place)


@pytest.mark.parametrize('entry', ['../evil.csv', '/tmp/evil.csv', 'a\\..\\..\\evil.csv',
                                   'C:/evil.csv'])
def test_zip_that_climbs_out(tmp_path, entry):
    root = make_release(tmp_path / 'r')
    write_zip(root / 'bad.zip', ('0001_label.csv', '1,2,3'), (entry, 'evil'))
    _, report = prepared(root)
    assert 'evil.csv\' would be written outside the folder bad' in details(
        report, archives.REFUSED)[0]
    assert not list(tmp_path.rglob('evil*')) and not (root / 'bad').exists()
    assert report.clips['train'] == 2


@pytest.mark.parametrize('names', [['.'], [''], ['a/', './'], ['..csv'], ['d.csv/x.csv', 'd.csv'],
                                   ['x' * 300 + '.csv'], ['a\nb.csv'], ['\u2028.csv']])
def test_odd_names_cost_their_entry_alone(tmp_path, names):
    write_zip(tmp_path / 'odd.zip', *((name, '1') for name in names), ('good.csv', '1,0,3'))
    write_zip(tmp_path / 'other.zip', ('other.csv', '1,0,3'))
    unpack(tmp_path)
    assert (tmp_path / 'odd/good.csv').read_text() == '1,0,3'
    assert (tmp_path / 'other/other.csv').exists()


@pytest.mark.parametrize('field, value, message', [
    (FLAGS, 0x800, 'cannot be read .*utf-8'), (VERSION, 999, 'cannot be read .*version'),
    (FLAGS, 1, 'encrypted: unpack it yourself'), (FLAGS, 0x20, 'one.csv is damaged .*patched')])
def test_bad_zip_costs_its_own_clips_alone(tmp_path, field, value, message):
    path = write_zip(tmp_path / 'bad.zip', ('one.csv', '1'))
    if value == 0x800:  # the name is UTF-8, it says
        path.write_bytes(path.read_bytes().replace(b'one', b'\xff\xfe\xfd'))
    patch(path, field, value)
    write_zip(tmp_path / 'good.zip', ('good.csv', '1,0,3'))
    refused, = unpack(tmp_path)
    assert re.search(message, refused)
    assert (tmp_path / 'good/good.csv').exists()


def test_zip_that_is_cut_off_or_damaged(tmp_path):
    zipped = zip_release(make_release(tmp_path / 'r'), tmp_path / 'z')
    data = (zipped / 'imigue_rgb_phase1.zip').read_bytes()
    (zipped / 'again.zip').write_bytes(data[:len(data) // 2])
    place = data.index(b'mdat') + 50  # inside the first video
    (zipped / 'imigue_rgb_phase1.zip').write_bytes(data[:place] + b'xx' + data[place + 2:])
    _, report = prepared(zipped)
    refused = details(report, archives.REFUSED)
    assert any('incomplete download' in text for text in refused)
    assert any('0001.mp4 is damaged' in text for text in refused)
    assert report.clips == dict(train=0, val=2, test=2)


def test_damage_inside_a_deflated_entry(tmp_path):
    name, content = '0001_label.csv', os.urandom(500).hex()
    path = write_zip(tmp_path / 'a.zip', (name, content), method=zipfile.ZIP_DEFLATED)
    data = path.read_bytes()
    for place in range(30 + len(name), 90, 6):
        path.write_bytes(data[:place] + b'\xff' * 40 + data[place + 40:])
        assert 'is damaged' in unpack(tmp_path)[0]
        assert not list(tmp_path.rglob('*.csv')) and not list(tmp_path.rglob('.*'))


@pytest.mark.parametrize('method', [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_can_fill_the_memory(tmp_path, method):
    write_zip(tmp_path / 'a.zip', ('a.csv', '1,0,3'), method=method)
    assert f'neither stored nor deflated (method {method}): unpack it' in unpack(tmp_path)[0]


def test_zip_of_zeros(tmp_path):
    path = write_zip(tmp_path / 'bomb.zip', ('a.csv', bytes(101_000_000)),
                     method=zipfile.ZIP_DEFLATED)
    write_zip(tmp_path / 'good.zip', ('good.csv', '1,0,3'))
    refused, = unpack(tmp_path)
    size = path.stat().st_size
    assert (f'unpack to 101,000,000 bytes, {101e6 / size:,.0f} times its own {size:,}, and at most '
            '100 times or 100,000,000 bytes are allowed') in refused
    assert '--max-unpacked-ratio' in refused and not (tmp_path / 'bomb').exists()
    assert (tmp_path / 'good/good.csv').exists()
    assert unpack(tmp_path, max_ratio=2000) == []
    assert (tmp_path / 'bomb/a.csv').stat().st_size == 101_000_000


def test_entries_that_share_their_data(tmp_path):
    """Each has a ratio below the limit; together they are a thousand times the zip."""
    path = tmp_path / 'a.zip'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as file:
        file.writestr('0.csv', os.urandom(50_000).hex() * 10)
        first = file.infolist()[0]
        for number in range(1, 1000):
            twin = zipfile.ZipInfo(f'{number}.csv')
            for name in ('compress_type', 'CRC', 'compress_size', 'file_size', 'header_offset'):
                setattr(twin, name, getattr(first, name))
            file.filelist.append(twin)
    assert 'times its own' in unpack(tmp_path)[0]


@pytest.mark.parametrize('method', [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_data_beyond_the_declared_size(tmp_path, method):
    path = write_zip(tmp_path / 'a.zip', ('a.csv', bytes(1_000_000)), method=method)
    patch(path, SIZE, 1000)
    assert 'is damaged' in unpack(tmp_path)[0]
    patch(path, ((14, '<I'), (16, '<I')), zipfile.crc32(bytes(1000)))
    assert unpack(tmp_path) == [] and (tmp_path / 'a/a.csv').read_bytes() == bytes(1000)


def test_no_room_for_the_zips(tmp_path, monkeypatch):
    zipped = zip_release(make_release(tmp_path / 'r'), tmp_path / 'z')
    usage = archives.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(archives.shutil, 'disk_usage', lambda path: usage._replace(free=10))
    with pytest.raises(ReleaseError, match='needs 0.0 GB below .* 0.0 GB are free: make room'):
        prepared(zipped)


def test_work_per_entry(tmp_path, monkeypatch):
    """Looking at the folder or opening the zip for each entry makes 20,000 of them take minutes."""
    looks = []
    for owner, name in ((os, 'scandir'), (os, 'listdir'), (zipfile.ZipFile, '_RealGetContents')):
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args, own=original: looks.append(1) or own(*args))
    counts = []
    for number in (5, 500):
        write_zip(tmp_path / f'{number}/a.zip', *((f'd/{k}.csv', '1') for k in range(number)))
        looks.clear()
        assert unpack(tmp_path / f'{number}') == []
        counts.append(len(looks))
        assert len(list((tmp_path / f'{number}/a/d').iterdir())) == number
    assert counts[0] == counts[1] > 0


def test_backslashes_and_entries_of_the_same_name(tmp_path):
    with pytest.warns(UserWarning, match='Duplicate name'):
        write_zip(tmp_path / 'labels.zip', *(
            ('train\\0001\\0001_label.csv', text) for text in ('1,0,3\n', '1,0,10\n')))
    for _ in range(2):
        assert '0001_label.csv is in it again, the last one is used' in unpack(tmp_path)[0]
        path, = tmp_path.rglob('*.csv')
        assert path == tmp_path / 'labels/train/0001/0001_label.csv'
        assert path.read_text() == '1,0,10\n'


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='the system has no pipes with names')
def test_pipe_in_place_of_a_file(tmp_path):
    root = make_release(tmp_path / 'r')
    for name in ('x.zip', 'train/0002_label.csv', 'train/0002.mp4', 'train/other.csv'):
        (root / name).parent.mkdir(exist_ok=True)
        os.mkfifo(root / name)
    _, report = prepared(root)
    assert len(details(report, 'files that cannot be used')) == 4
    assert report.clips == dict(train=2, val=2, test=2)
    assert len(list(find_files(root, ('.csv', '.mp4', '.zip'), tmp_path))) == 6

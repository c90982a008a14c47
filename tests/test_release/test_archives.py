"""Zips: unpacked once, and nothing hostile gets out of them."""
import zipfile

import pytest
from tiny_release import details, make_release, prepared, zip_release

from gaie_mmaction.release import Report, archives


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

"""Files that are missing, doubled or damaged, and the parts by folder names."""
import pytest
from tiny_release import details, make_release, prepared

from gaie_mmaction.release import ReleaseError, prepare


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
        prepare(root, root / '.')
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
        report = prepare(root, root / 'out', cut=True)
    assert report.clips == dict(train=2, val=2, test=2) and not report.deviations

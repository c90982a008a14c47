"""Files that are missing, doubled or damaged, odd names, and the parts by folder names."""
import os

import pytest
from tiny_release import details, make_release, prepared, read_segments

from gaie_mmaction.datasets.annotations import Segment, read_annotations, write_annotations
from gaie_mmaction.release import ReleaseError, Report, prepare
from gaie_mmaction.release.layout import LICENSED_COLUMNS, find_layout

UNUSABLE = 'files that cannot be used'


def one(root, pattern):
    path, = root.rglob(pattern)
    return path


@pytest.mark.parametrize('spoil, kind, detail', [
    (lambda root: os.truncate(one(root, '0001.mp4'), 4000), 'videos that cannot be read',
     'is incomplete'),
    (lambda root: (root / '0001.mp4').write_text('other'), 'videos that occur twice', 'differs'),
    (lambda root: one(root, '0001_label.csv').write_bytes(b'PK\xff\xfe'),
     'label rows that cannot be read', 'as text'),
    (lambda root: (one(root, 'imigue_skeleton_test') / '0001_label.csv').write_text('1,2,3'),
     'label files that occur twice', 'differs'),
    (lambda root: (one(root, '0001.mp4').unlink(), (root / '0001.mp4').symlink_to('nowhere')),
     UNUSABLE, 'broken link'),
])
def test_bad_video_or_label_file_costs_its_clips_alone(tmp_path, spoil, kind, detail):
    root = make_release(tmp_path / 'r')
    spoil(root)
    parts, report = prepared(root)
    assert detail in ' '.join(details(report, kind))
    assert parts['train'] == [] and len(parts['val']) == len(parts['test']) == 2
    assert f'\n{kind}: ' in report.text()


@pytest.mark.parametrize('pattern, message', [
    ('*_label.csv', 'no <VID>_label.csv and no labels_20200831.csv below .*skeleton'),
    ('*.mp4', 'no <VID>.mp4 below .*imigue_rgb_phase1')])
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
    assert [(row[0], row[2:]) for row in parts['train']] == [
        (row[0], row[2:]) for row in expected['train']]


def test_label_tables_that_are_not_used_are_reported(tmp_path):
    folder = tmp_path / 'imigue_rgb_phase1' / 'train'
    folder.mkdir(parents=True)
    (folder / '0001.mp4').write_bytes(b'')
    for name, text in (('a', ','.join(LICENSED_COLUMNS)), ('b', ','.join(LICENSED_COLUMNS)),
                       ('d', 'something,else')):
        (tmp_path / f'{name}.csv').write_text(text)
    (tmp_path / 'c.csv').write_bytes('größe'.encode('utf-16'))
    report = Report()
    assert find_layout(tmp_path, tmp_path / 'out', report).licensed_csv == tmp_path / 'a.csv'
    twice, unreadable = report.deviations
    assert twice.kind == 'tables of labels that occur twice' and 'a.csv is' in twice.detail
    assert (twice.file, unreadable.file) == ('b.csv', 'c.csv')
    assert 'save it as UTF-8' in unreadable.detail


def test_out_inside_the_release(tmp_path):
    """Is not taken for the release, and cannot be the release."""
    root = make_release(tmp_path / 'r')
    before = sorted(root.rglob('*'))
    with pytest.raises(ReleaseError, match='is the release itself: give another folder'):
        prepare(root, root / '.')
    assert sorted(root.rglob('*')) == before
    for _ in range(2):
        report = prepare(root, root / 'out', cut=True)
    assert report.clips == dict(train=2, val=2, test=2) and not report.deviations


# parts by the names of folders

def part_of(root, *folders):
    """Part of a video whose label file and mp4 are in these folders, and the report."""
    for name, folder in zip(('0400_label.csv', '0400.mp4'), folders * 2):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / name).touch()
    report = Report()
    layout = find_layout(root, root / 'out', report)
    assert ('0400' in layout.unplaced) == ('0400' not in layout.part_of)
    return layout.part_of.get('0400'), report


@pytest.mark.parametrize('folder, part', [
    ('train_data', 'train'), ('Training-2', 'train'), ('TrainData', 'train'),
    ('imigue_skeleton_validate', 'val'), ('validation_data', 'val'), ('val', 'val'), ('dev', 'val'),
    ('Valid', 'val'), ('my test', 'test'), ('testing', 'test'), ('iMiGUE_RGB_Phase2', 'test'),
    ('imigue_rgb_phase_2/x', 'test'), ('phase2/train', 'train'), ('test/a/b/val.1', 'val'),
    ('latest', None), ('contest', None), ('strain', None), ('invalid', None), ('attested', None),
    ('phase1', None), ('phase21', None), ('developers', None), ('trainval', None), ('a', None)])
def test_whole_words_name_the_part(tmp_path, folder, part):
    found, report = part_of(tmp_path / 'test', folder)  # the release's own name says nothing
    assert found == part
    assert bool(details(report, 'unknown part')) == (part is None)


@pytest.mark.parametrize('folders, part, kind, noted', [
    (['train/testing-train'], None, 'ambiguous folder names',
     ['its folder names train and test'] * 2),
    (['train', 'testing-train'], 'train', 'ambiguous folder names',
     ['its folder names train and test']),
    (['test', 'validation_data'], 'test', 'label file and video in different parts',
     ['test, but validation_data/0400.mp4 is in val; test is used'])])
def test_folders_that_disagree(tmp_path, folders, part, kind, noted):
    found, report = part_of(tmp_path, *folders)
    assert found == part and details(report, kind) == noted


# names that text files cannot hold

@pytest.mark.parametrize('name', ['a\nb', 'a\rb', 'a\u2028b', 'a\x85b', b'\xff\xfe', b'd\xff/0007',
                                  'new\nline/0007'])
def test_names_that_annotation_files_cannot_hold(tmp_path, name):
    root = make_release(tmp_path / 'r')
    name = os.fsdecode(name)
    path = root / 'train' / f'{name}_label.csv'
    try:
        path.parent.mkdir(parents=True)
        path.write_text('1,0,9\n')
        path.with_name(path.name.replace('_label.csv', '.mp4')).write_bytes(
            one(root, '0001.mp4').read_bytes())
    except (OSError, ValueError):
        pytest.skip('this file system refuses the name')
    parts, report = prepared(root)
    assert [len(rows) for rows in parts.values()] == [2, 2, 2]
    assert len(details(report, UNUSABLE)) == 2
    assert (tmp_path / 'r-out/report.txt').read_text('utf-8').count('left out, rename it\n') == 2
    for part in parts:
        assert len(read_annotations(str(tmp_path / f'r-out/{part}.txt'), 32)) == 2


@pytest.mark.parametrize('name', ['a b', 'a,b', '"a"', "a'b", 'données', '数据\u3000', 'a;b', '#'])
def test_odd_names_that_they_can_hold(tmp_path, name):
    root = make_release(tmp_path / 'r')
    for path in list(root.rglob('0001*.*')):
        path.rename(path.with_name(path.name.replace('0001', name)))
    parts, report = prepared(root)
    assert not report.deviations
    assert [row.clip_id for row in parts['train']] == [f'{name}_0', f'{name}_1']
    listed = read_annotations(str(tmp_path / 'r-out/train.txt'), 32)
    assert [clip['clip_id'] for clip in listed] == [f'{name}_0', f'{name}_1']


def test_segments_are_read_by_the_rules_of_csv(tmp_path):
    rows = [Segment(f'a{text}b', f'v{text}.mp4', 0, 5, 1)
            for text in ('\n', '\r\n', '\u2028', '\x0c', '","', '""', ' ')]
    write_annotations(tmp_path / 'odd', rows)
    assert read_segments(tmp_path / 'odd.csv') == rows

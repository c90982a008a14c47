"""Splits by subject, and the held-out part."""
import numpy as np
import pytest
from tiny_release import HEADER, NUM_FRAMES, details, make_release, prepared, read_segments

from gaie_mmaction.datasets.annotations import Segment
from gaie_mmaction.datasets.imigue_pose_dataset import read_skeletons
from gaie_mmaction.release import ReleaseError, Report, labels, splits


def licensed_csv(path, rows):
    header = 'video_id,class,start_frame,end_frame,win_or_lose,subject_id'
    path.write_text('\n'.join([header, *(','.join(map(str, row)) for row in rows)]) + '\n')
    return path


def test_subjects(tmp_path):
    root = make_release(tmp_path / 'r')
    rows = [(1, 17, 0, 9, 'w', 2), (1, 99, 12, 29, 'w', 2), (11, 1, 3, 7, 'l', 1),
            (11, 1, 8, 20, 'l', 1), (54, 5, 3, 7, 'l', 72), (54, 6, 8, 20, 'l', 72)]
    table = licensed_csv(tmp_path / 'labels.csv', rows)
    parts, report = prepared(root, subjects=table)
    train, test = (read_segments(tmp_path / f'r-out/xsub_{name}.csv') for name in ('train', 'test'))
    assert [row.clip_id for row in train] == ['0001_0', '0001_1']
    assert [row.label for row in test] == [0, 0, 4, 5]
    assert [row[-1] for row in parts['test']] == [-1, -1]
    assert 'published: 13936' in report.splits['xsub_train, xsub_test']


def test_table_that_numbers_the_clips_otherwise(tmp_path):
    """A clip id means one range: in no split it may stand for another one than in the parts."""
    root = make_release(tmp_path / 'r', rows='17,0,9\n99,12,29\n5,3,4\n')
    (root / 'labels.csv').write_text(
        'video_id,class,start_frame,end_frame,subject_id\n1,99,12,29,2\n1,17,0,9,2\n1,5,3,4,2\n'
        '54,6,3,7,1\n54,7,8,19,1\n')
    parts, report = prepared(root)
    xsub = {split: [row.clip_id for row in read_segments(tmp_path / f'r-out/xsub_{split}.csv')]
            for split in ('train', 'test')}
    assert xsub == dict(train=['0001_2'], test=['0054_0'])
    assert sorted(details(report, 'clips that the table has otherwise')) == [
        '0001_0: 12..29, label 31, but 0..9, label 16 in the label file; in no cross-subject split',
        '0001_1: 0..9, label 16, but 12..29, label 31 in the label file; in no cross-subject split',
        '0054_1: 8..19, label 6, but 8..20, label -1 in the label file; in no cross-subject split']


def test_what_an_earlier_run_left(tmp_path):
    """Splits and skeletons that this run does not make would pass for its own."""
    root, out = make_release(tmp_path / 'r'), tmp_path / 'r-out'
    table = root / 'labels.csv'
    table.write_text('video_id,class,start_frame,end_frame,subject_id\n'
                     '1,17,0,9,2\n1,99,12,29,2\n11,1,3,7,1\n')
    skeleton = next(root.rglob('0001_label.csv')).with_name('0001_light_hand.csv')
    skeleton.write_text(f'{HEADER}\n' + f'0{",5" * 105}\n' * NUM_FRAMES)
    prepared(root)
    mine = out / 'my_split.csv'
    mine.write_text('mine')
    names = {'xsub_train.csv', 'xsub_test.csv', 'xsub_train.txt', 'xsub_test.txt', 'skeleton.pkl',
             'skeleton_xsub.pkl'}
    before = {path.name for path in out.iterdir()}
    assert names < before
    table.unlink()
    skeleton.unlink()
    prepared(root)
    assert {path.name for path in out.iterdir()} == before - names


def test_the_table_does_not_reveal_the_test_part_to_skeletons(tmp_path):
    """A skeleton has the label of its segment; the cross-subject protocol has its own file."""
    root, out = make_release(tmp_path / 'r'), tmp_path / 'r-out'
    table = licensed_csv(tmp_path / 'labels.csv', [
        (1, 17, 0, 9, 'w', 2), (1, 99, 12, 29, 'w', 2), (54, 5, 3, 7, 'l', 72),
        (54, 6, 8, 20, 'l', 72)])
    for path in root.rglob('*_label.csv'):
        path.with_name(path.name.replace('label', 'light_hand')).write_text(
            f'{HEADER}\n' + f'0{",5" * 105}\n' * NUM_FRAMES)
    prepared(root, subjects=table)
    for name, prefix in (('skeleton', ''), ('skeleton_xsub', 'xsub_')):
        clips, split = read_skeletons(str(out / f'{name}.pkl'))
        assert all(part.startswith('xsub') == bool(prefix) for part in split)
        for part in ('train', 'test'):
            rows = read_segments(out / f'{prefix}{part}.csv')
            assert [(clip_id, clips[clip_id]['label']) for clip_id in split[f'{prefix}{part}']] == [
                (row.clip_id, row.label) for row in rows]
    table.unlink()
    prepared(root)
    assert not (out / 'skeleton_xsub.pkl').exists()


def test_form_of_the_subjects_table(tmp_path):
    table = licensed_csv(tmp_path / 'labels.csv', [
        (1, 17, 0, 9, 'w', 2), ('x', 1, 3, 7, 'l', 1), (1, 1, 1, 1, 'l', 3), ('2', ),
        ('9' * 5000, ), ('', '', '')])
    table.write_bytes('\ufeff'.encode() + table.read_bytes().replace(b'\n', b'\r\n'))
    report = Report()
    found = labels.read_licensed_csv(table, 'labels.csv', report)
    assert found.subjects == {'0001': 2} and found.rows['0001'][0].frames == (0, 9)
    assert details(report, labels.FORM) == [
        'has a byte order mark, Windows line ends; read all the same']
    assert details(report, labels.ROWS) == [
        'line 3: video_id is not a number; left out',
        'line 4: video 0001 has subject 3, but 2 above; 2 is used',
        'line 5: subject_id is not a number', 'line 6: video_id is not a number; left out']
    assert 'must be integers' in found.rows['0002'][0].error


def test_subjects_table_that_is_none(tmp_path):
    (tmp_path / 'x.csv').write_text('a,b\n1,2\n')
    with pytest.raises(ReleaseError, match='x.csv: the header lacks video_id, class'):
        prepared(make_release(tmp_path / 'r'), subjects=tmp_path / 'x.csv')


def test_hold_out_keeps_people_and_classes_apart():
    rng = np.random.default_rng(0)
    rows = [Segment(f'{video:04d}_{k}', 'v', 0, 1, int(rng.choice([0, 1, 31], p=[.1, .3, .6])))
            for video in range(200) for k in range(int(rng.integers(1, 60)))]
    subjects = {f'{video:04d}': video % 70 for video in range(200)}
    for who in (subjects, {}):
        split = splits.hold_out(rows, who)
        sides = [{who.get(row[0][:4], row[0][:4]) for row in part} for part in split.values()]
        assert not sides[0] & sides[1]
        assert sorted(split['holdout_train'] + split['holdout_val']) == sorted(rows)
        assert .08 < len(split['holdout_val']) / len(rows) < .12
        for label, share in ((0, .1), (1, .3), (31, .6)):
            held = np.mean([row[-1] == label for row in split['holdout_val']])
            assert abs(held - share) < .03
        assert splits.hold_out(rows, who) == split
    assert splits.hold_out(rows[:1], subjects) == {}

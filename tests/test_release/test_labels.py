"""Label files, the licensed table and labels of the test part."""
import pytest
from tiny_release import details, make_release, prepared

from gaie_mmaction.release import ReleaseError, labels


def test_ranges_that_do_not_fit(tmp_path):
    rows = '17,0,30\n17,-2,5\n17,30,35\n17,9,8\n40,1,2\n1,29,29\n'
    parts, report = prepared(make_release(tmp_path / 'r', rows=rows))
    assert [row[0:1] + row[2:4] for row in parts['train']] == [('0001_0', 0, 29), ('0001_1', 0, 5),
                                                              ('0001_5', 29, 29)]
    assert details(report, 'clips clamped') == [
        '0001_0: 0..30 to 0..29, the video has 30 frames',
        '0001_1: -2..5 to 0..5, the video has 30 frames']
    assert details(report, 'clips dropped') == [
        '0001_2: starts at frame 30, the video has 30',
        '0001_3: ends at frame 8, before its start 9',
        "0001_4: class '40' is not one of 1..31 and 99"]
    assert {deviation.file for deviation in report.deviations} == {
        'imigue_data_phase1/datasets/imigue_skeleton_train/0001/0001_label.csv'}


def test_every_test_clip_gets_a_row(tmp_path):
    root = make_release(tmp_path / 'r')
    next(root.rglob('0054_label.csv')).write_text('?,3,7\n1,40,50\n1,9,4\n1,x,4\n1,3\n')
    parts, report = prepared(root)
    assert [row[0:1] + row[2:] for row in parts['test']] == [
        ('0054_0', 3, 7, -1), ('0054_1', 29, 29, -1), ('0054_2', 9, 9, -1), ('0054_3', 0, 29, -1),
        ('0054_4', 0, 29, -1)]
    assert [text[:6] for text in details(report, 'test clips kept with another range')] == [
        '0054_1', '0054_2', '0054_3', '0054_4']


@pytest.mark.parametrize('text', [
    '17;0;9\n99;12;29\n', '17\t0\t9\n99\t12\t29\n', '"17","0","9"\n"99","12","29"\n',
    '17.0,0.0,9.0\n99.0,12.0,29.0\n', '17,--5,9\n99,12,+-3\n', f'17,0,{"9" * 5000}\n,,-\n'],
    ids=['semicolons', 'tabs', 'quotes', 'decimals', 'signs', 'digits'])
@pytest.mark.parametrize('header', ['', 'class,start_frame,end_frame\n'], ids=['', 'header'])
def test_rows_of_another_form_keep_their_numbers(tmp_path, text, header):
    """They are no headers: a test clip would be lost, and those after it would get another's id."""
    root = make_release(tmp_path / 'r', rows=header + text)
    next(root.rglob('0054_label.csv')).write_text(header + text + '1,3,7\n')
    parts, report = prepared(root)
    assert parts['train'] == [] and len(details(report, 'clips dropped')) == 2
    assert [row[0] for row in parts['test']] == ['0054_0', '0054_1', '0054_2']
    assert parts['test'][2][2:4] == (3, 7)
    assert len(details(report, 'test clips kept with another range')) == 2


def test_label_of():
    codes = ['1', '31', '99', '0', '32', '100', '-1', 'x', '', '1.5']
    assert [labels.label_of(code) for code in codes] == [0, 30, 31] + [None] * 7


def test_rows_that_cannot_be_read_cost_one_clip(tmp_path):
    rows = '17,0,9\n ,,\n17,a,9\nhm,3,4\n17,3\n17,3,4,5\n1,10,12\n'
    parts, report = prepared(make_release(tmp_path / 'r', rows=rows))
    assert [row[0] for row in parts['train']] == ['0001_0', '0001_5']
    dropped = details(report, 'clips dropped')
    assert [text[:6] for text in dropped] == ['0001_1', '0001_2', '0001_3', '0001_4']
    assert "line 3 ('17,a,9')" in dropped[0] and "class 'hm'" in dropped[1]


@pytest.mark.parametrize('text, message', [
    ('clip_id,label\n0054_0,5\n0054_1,32\n', r'line 3.*0\.\.31.*32'),
    ('clip_id,label\n0054_0,5\n0054_1,-1\n', 'line 3.*-1'),
    ('clip_id,label\n0054_0,x\n', 'line 2.*x'),
    ('clip_id,label\n0054_0,5\n0054_0,6\n', 'line 3: clip 0054_0 was already given'),
    ('id,target\n0054_0,5\n', 'header clip_id,label'),
    ('', 'header clip_id,label, but has None'),
])
def test_bad_test_labels(tmp_path, text, message):
    (tmp_path / 'answers.csv').write_text(text)
    with pytest.raises(ReleaseError, match=f'answers.csv.*{message}'):
        labels.add_test_labels([], tmp_path / 'answers.csv')


def test_missing_test_labels(tmp_path):
    with pytest.raises(ReleaseError, match='nowhere.csv cannot be read'):
        labels.add_test_labels([], tmp_path / 'nowhere.csv')
    (tmp_path / 'answers.csv').write_text('clip_id,label\n0054_0,5\n')
    with pytest.raises(ReleaseError, match='no label for clip 0054_1'):
        prepared(make_release(tmp_path / 'r'), test_labels=tmp_path / 'answers.csv')

"""Skeleton files, to 22 joints per frame."""
import os
import pickle
import zipfile

import numpy as np
import pytest
from spoilt_release import write_xlsx
from tiny_release import HEADER, NUM_FRAMES, light_hand, make_release, prepared, write_light_hand

from gaie_mmaction.datasets import IMiGUEPoseDataset
from gaie_mmaction.datasets.skeleton_layout import hands_swapped
from gaie_mmaction.release import ReleaseError, prepare
from gaie_mmaction.release.skeletons import SkeletonError, read_skeleton


def test_joints_by_hand(tmp_path):
    write_light_hand(tmp_path / '0001_light_hand.csv', light_hand(4))
    skeleton, notes = read_skeleton(tmp_path / '0001_light_hand.csv', 4)
    assert notes == [] and skeleton.shape == (4, 22, 3) and skeleton.dtype == np.float32
    xs = [*range(1, 9), *range(16, 20), *[8] * 5, *[5] * 5]
    for frame in range(4):
        assert skeleton[frame].tolist() == [[x, frame + 1, .5] for x in xs]


def test_joints_of_a_workbook(tmp_path):
    values = np.random.default_rng(0).random((3, 411)).round(3)
    write_xlsx(tmp_path / '0001_openpose.xlsx', values.astype(str).tolist())
    skeleton, _ = read_skeleton(tmp_path / '0001_openpose.xlsx', 3)
    places = [*range(8), *range(15, 19), 99, 103, 107, 111, 115, 120, 124, 128, 132, 136]
    for k, joint in enumerate(places):
        assert np.allclose(skeleton[:, k], values[:, 3 * joint:3 * joint + 3])
    skeleton, _ = read_skeleton(tmp_path / '0001_openpose.xlsx', 3, joints=137)
    assert np.allclose(skeleton.reshape(3, 411), values)


@pytest.mark.parametrize('packed', [False, True])
def test_all_of_the_workbooks(tmp_path, packed):
    """The other skeletons stay as they are, and the dataset of this layout reads them."""
    root = make_release(tmp_path / 'r')
    with pytest.raises(ReleaseError, match='only these hold 137 joints'):
        prepare(root, tmp_path / 'out', joints=137)
    folder = next(root.rglob('0001_label.csv')).parent
    write_light_hand(folder / '0001_light_hand.csv', light_hand(NUM_FRAMES))
    values = np.random.default_rng(0).random((NUM_FRAMES, 411)).round(3)
    write_xlsx(folder / '0001_openpose.xlsx', values.astype(str).tolist())
    if packed:  # without --joints 137 the workbook stays in its zip
        with zipfile.ZipFile(folder / 'skeletons.zip', 'w') as file:
            for name in ('0001_light_hand.csv', '0001_openpose.xlsx'):
                file.write(folder / name, name)
                (folder / name).unlink()
    prepare(root, tmp_path / 'out')
    kit = (tmp_path / 'out/skeleton.pkl').read_bytes()
    assert len(list(folder.rglob('0001_openpose.xlsx'))) == 1 - packed
    prepare(root, tmp_path / 'out', joints=137)
    assert (tmp_path / 'out/skeleton.pkl').read_bytes() == kit
    dataset = IMiGUEPoseDataset(ann_file=str(tmp_path / 'out/skeleton137.pkl'), pipeline=[],
                                split='train', layout='openpose137')
    clip = dataset.get_data_info(1)
    joints = values.reshape(-1, 137, 3)[12:30]
    np.testing.assert_allclose(clip['keypoint'][0], joints[..., :2], rtol=1e-6)
    np.testing.assert_allclose(clip['keypoint_score'][0], joints[..., 2], rtol=1e-6)


def test_workbook_that_unpacks_to_too_much(tmp_path):
    path = tmp_path / '0001_openpose.xlsx'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as file:
        file.writestr('xl/worksheets/sheet1.xml', b' ' * 101_000_000)
    with pytest.raises(SkeletonError, match='unpack to 101,000,000 bytes.*at most 100 times'):
        read_skeleton(path, 3)
    path.write_bytes(b'PK')
    with pytest.raises(SkeletonError, match='cannot be read'):
        read_skeleton(path, 3)


@pytest.mark.parametrize('change, first_row, last_row, noted', [
    (lambda rows: rows[:-1], 1, 0, ['has 3 rows for 4 frames; the others are missing']),
    (lambda rows: np.concatenate([rows, rows[-1:] + np.eye(1, 106)]), 1, 4,
     ['has 5 rows for 4 frames; the rest is left out']),
    (lambda rows: rows[1:], 0, 4, ['begins one frame late', 'has 3 rows for 4 frames']),
    (lambda rows: rows + np.eye(1, 106), 1, 4, ['its index begins at 1']),
    (lambda rows: rows + 5 * np.eye(1, 106), 1, 4, ['does not count the frames']),
    # frames 1 and 2 are missing
    (lambda rows: rows[[0, 3]], 1, 4, ['its index skips frames', 'has 2 rows for 4 frames']),
    (lambda rows: rows[[3]], 0, 4, ['its index skips frames', 'has 1 rows for 4 frames']),
    (lambda rows: rows[[3, 0]], 4, 0, ['does not count the frames', 'has 2 rows for 4 frames']),
])
def test_frames_too_few_or_too_many(tmp_path, change, first_row, last_row, noted):
    write_light_hand(tmp_path / '0001_light_hand.csv', change(light_hand(4)))
    skeleton, notes = read_skeleton(tmp_path / '0001_light_hand.csv', 4)
    assert (skeleton[0, 0, 1], skeleton[-1, 0, 1]) == (first_row, last_row)
    assert len(notes) == len(noted) and all(text in note for text, note in zip(noted, notes))


def test_a_score_alone_is_no_joint(tmp_path):
    """The dataset looks at the coordinates, and refuses clips without any in training."""
    rows = light_hand(4)
    rows[2, 1:].reshape(35, 3)[:, :2] = 0
    write_light_hand(tmp_path / '0001_light_hand.csv', rows)
    skeleton, _ = read_skeleton(tmp_path / '0001_light_hand.csv', 4)
    assert not skeleton[2].any() and skeleton[[0, 1, 3]].all()


@pytest.mark.parametrize('header', [HEADER, 'frame' + ',x,y,s' * 35,
                                    ','.join(map(str, range(106))), None])
def test_header_is_never_a_frame(tmp_path, header):
    write_light_hand(tmp_path / '0001_light_hand.csv', light_hand(4), header)
    skeleton, notes = read_skeleton(tmp_path / '0001_light_hand.csv', 4)
    assert skeleton[:, 0, 1].tolist() == [1, 2, 3, 4]
    assert notes == ([] if header else ['has no header row; all rows are taken for frames'])


@pytest.mark.parametrize('value', ['nan', 'abc', '', 'inf'])
def test_values_that_are_no_numbers(tmp_path, value):
    rows = light_hand(4).tolist()
    rows[2][1] = value  # x of the nose
    write_light_hand(tmp_path / '0001_light_hand.csv', rows)
    skeleton, notes = read_skeleton(tmp_path / '0001_light_hand.csv', 4)
    assert skeleton[:, 0, 0].tolist() == [1, 1, 0, 1] and skeleton[2, 0, 1] == 3
    assert '1 values are not numbers' in notes[0] and 'row 3 of the data, column 2' in notes[0]


def test_skeletons_in_the_whole_run(tmp_path):
    root = make_release(tmp_path / 'r')
    good = light_hand(NUM_FRAMES)
    swapped = good.copy()
    swapped[:, 1 + 75:1 + 90], swapped[:, 1 + 90:] = good[:, 1 + 90:], good[:, 1 + 75:1 + 90]
    assert not hands_swapped(np.zeros((3, 22, 3)))
    for video_id, rows in (('0001', good), ('0011', swapped), ('0054', good[:0])):
        folder = next(root.rglob(f'{video_id}_label.csv')).parent
        write_light_hand(folder / f'{video_id}_light_hand.csv', rows)
    _, report = prepared(root)
    found = [(deviation.file[-20:-15], deviation.detail[:24]) for deviation in report.deviations]
    assert found == [
        ('/0011', 'seems to have left and r'), ('/0054', 'has 0 rows for 30 frames'),
        ('/0054', 'is empty: no joint in an')]
    clips = pickle.loads((tmp_path / 'r-out/skeleton.pkl').read_bytes())
    by_id = {clip['frame_dir']: clip for clip in clips['annotations']}
    assert clips['split']['train'] == ['0001_0', '0001_1']
    assert clips['split']['test'] == ['0054_0', '0054_1']
    clip = by_id['0001_1']
    assert (clip['label'], clip['total_frames'], clip['img_shape']) == (31, 18, (96, 128))
    assert clip['keypoint'].shape == (1, 18, 22, 2) and clip['keypoint_score'].shape == (1, 18, 22)
    assert clip['keypoint'][0, :, 0, 1].tolist() == list(range(13, 31))  # frames 12..29
    assert not by_id['0054_0']['keypoint'].any()
    # MMAction2's own dataset takes it
    from mmaction.datasets import PoseDataset
    dataset = PoseDataset(str(tmp_path / 'r-out/skeleton.pkl'), [], split='trainval')
    assert [dataset.get_data_info(k)['frame_dir'] for k in range(len(dataset))] == [
        '0001_0', '0001_1', '0011_0', '0011_1']


@pytest.fixture
def root(tmp_path):
    root = make_release(tmp_path / 'r')
    write_light_hand(next(root.rglob('0001_label.csv')).with_name('0001_light_hand.csv'),
                     light_hand(NUM_FRAMES))
    return root


def test_converted_once(tmp_path, root):
    prepared(root)
    first = {path: path.stat().st_mtime_ns for path in (tmp_path / 'r-out/cache').iterdir()}
    assert len(first) == 4  # the facts of three videos and a skeleton
    prepared(root)
    assert {path: path.stat().st_mtime_ns for path in first} == first
    write_light_hand(next(root.rglob('0001_light_hand.csv')), light_hand(NUM_FRAMES, number=7))
    prepared(root)
    changed = {path.name for path in first if path.stat().st_mtime_ns != first[path]}
    assert changed == {'0001.json', '0001.npy'}


@pytest.mark.parametrize('spoil', [
    lambda cached: '{', lambda cached: '[]', lambda cached: 'null', lambda cached: '"format"',
    lambda cached: '[' * 100_000, lambda cached: '{}', lambda cached: '{"format": 2}',
    lambda cached: cached.replace('30', 'null'), lambda cached: cached.replace('"fps"', '"FPS"'),
    lambda cached: cached.replace('[]', '"x"'), lambda cached: '\udcff', None])
def test_spoilt_cache_is_made_again(tmp_path, root, spoil):
    cache = tmp_path / 'r-out/cache'
    expected, _ = prepared(root)
    before = {path.name: path.read_bytes() for path in cache.iterdir()}
    if spoil:
        text = spoil((cache / '0001.json').read_text())
        (cache / '0001.json').write_bytes(os.fsencode(text))
    else:
        for content in (None, b'', before['0001.npy'][:-4]):
            (cache / '0001.npy').unlink()
            if content is not None:
                (cache / '0001.npy').write_bytes(content)
            assert prepared(root)[0] == expected
    assert prepared(root)[0] == expected
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == before

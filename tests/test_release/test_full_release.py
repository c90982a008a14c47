"""The invented full-size release: what it says it wrote is what there is."""
import csv
import itertools
import json
import re
import sys
import xml.etree.ElementTree as ET
import zipfile
from collections import Counter
from pathlib import Path

import av
import decord
import full_release
import numpy as np
import pytest
from full_release import make_release
from release_defects import DEFECTS, possible
from release_media import LANDSCAPE, PORTRAIT, nose_x, read_number
from release_plan import NUM_CLIPS, NUM_VIDEOS, VAL_IDS, draw_videos, plan_video

VIDEOS = 16  # a part: room for all defects


def read_frames(path):
    """Numbers that the frames show, and the size of the first."""
    with av.open(str(path)) as container:
        images = [frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)]
    return [read_number(image) for image in images], images[0].shape[1::-1]


def read_colour(path):
    """U and V of the first frame."""
    with av.open(str(path)) as container:
        planes = next(container.decode(video=0)).to_ndarray()
    return int(planes[54, 0]), int(planes[66, 0])


def read_rows(path):
    """Rows of a label file by the plainest reading there is."""
    return [tuple(map(int, line.split(','))) for line in path.read_text().splitlines()]


def read_skeleton(path):
    """Index ``(T,)`` and joints ``(T, 35, 3)``."""
    with path.open() as file:
        table = np.array([list(map(float, row)) for row in itertools.islice(csv.reader(file), 1,
                                                                           None)])
    return table[:, 0], table[:, 1:].reshape(-1, 35, 3)


def files_below(root):
    return {path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob('*')) if path.is_file()}


def skeleton_folder(release, part, video_id):
    return (Path(release.root) / full_release.SKELETON_FOLDERS[release.layout][part] / video_id)


def by_video(clips):
    """Video id -> (code, start, end) of its clips; checks that k runs from 0 without a gap."""
    videos = {}
    for clip in clips:
        video_id, number = clip.clip_id.split('_')
        assert int(number) == len(videos.setdefault(video_id, []))
        videos[video_id].append(clip[1:])
    return videos


@pytest.fixture(scope='module')
def clean(tmp_path_factory):
    out = tmp_path_factory.mktemp('clean') / 'release'
    return make_release(out, videos_per_part=VIDEOS, workers=1)


@pytest.fixture(scope='module')
def spoilt(tmp_path_factory):
    out = tmp_path_factory.mktemp('spoilt') / 'release'
    return make_release(out, videos_per_part=VIDEOS, workers=1, defects='all')


@pytest.fixture(scope='module')
def planted(spoilt):
    return {entry.name: entry for entry in spoilt.planted}


# a clean release

def test_clean_release_is_what_the_description_says(clean):
    found = {}
    for part, clips in clean.clips.items():
        for video_id, rows in by_video(clips).items():
            video = Path(clean.root) / clean.videos[video_id]
            folder = skeleton_folder(clean, part, video_id)
            assert read_rows(folder / f'{video_id}_label.csv') == rows
            numbers, size = read_frames(video)
            assert numbers == list(range(clean.frames[video_id])) and size == LANDSCAPE
            assert len(decord.VideoReader(str(video))) == len(numbers) == clean.readable[video_id]
            assert all(0 <= start <= end < len(numbers) for _, start, end in rows)
            index, joints = read_skeleton(folder / f'{video_id}_light_hand.csv')
            assert index.tolist() == numbers
            assert joints[:, 0, 0].tolist() == [nose_x(number, 64) for number in numbers]
            wrists = joints[:, [7, 4], None, :2]  # of the left tips and of the right ones
            tips = joints[:, 25:, :2].reshape(-1, 2, 5, 2)
            near = np.linalg.norm(tips - wrists, axis=-1).max()
            assert near < np.linalg.norm(tips - wrists[:, ::-1], axis=-1).min()
            assert (joints[..., 0] < 64).all() and (joints[..., 1] < 48).all()
            found[video_id] = len(numbers)
    assert found == clean.frames
    assert not clean.planted
    assert {clip.code for clip in clean.clips['test']} == {full_release.PLACEHOLDER}


def test_videos_differ_from_each_other(clean):
    colours = {read_colour(Path(clean.root) / video) for video in clean.videos.values()}
    assert len(colours) >= len(clean.videos) - 1


def test_neighbours_overlap_and_leave_gaps():
    plan = plan_video('0123', 'train', 2, [1] * 60, seed=0)
    gaps = [after.start - before.end - 1 for before, after in itertools.pairwise(plan.clips)]
    assert min(gaps) == -2 and max(gaps) == 4
    lengths = {clip.end - clip.start + 1 for clip in plan.clips}
    assert lengths == set(range(4, 13))


@pytest.mark.parametrize('seed', [0, 1])
def test_full_size(seed):
    parts = draw_videos(np.random.default_rng(seed))
    assert {part: len(videos) for part, videos in parts.items()} == NUM_VIDEOS
    counts = {part: sum(map(len, videos.values())) for part, videos in parts.items()}
    assert counts == NUM_CLIPS == dict(train=12893, val=777, test=4562)
    ids = [video_id for videos in parts.values() for video_id in videos]
    assert len(set(ids)) == len(ids) == 355
    assert sorted(parts['val']) == VAL_IDS
    assert min(parts['test']) == '0054' and max(parts['test']) == '0453'
    codes = Counter(code for codes in parts['train'].values() for code in codes)
    assert set(codes) == {*range(1, 32), 99} and codes.most_common(1)[0][0] == 99
    frames = [plan_video(video_id, part, 1, codes, seed).frames
              for part, videos in parts.items() for video_id, codes in videos.items()]
    assert sum(frames) < 200_000 and max(frames) <= 4096


def test_labels_of_phase_1_are_taken(tmp_path):
    labels = tmp_path / 'labels.csv'
    real = {'0001': [31, 3], '0054': [0], '0060': [30, 31, 5, 7]}
    rows = [f'{video_id}_{k},{label}' for video_id, own in real.items()
            for k, label in enumerate(own)]
    labels.write_text('\n'.join(['clip_id,label', *reversed(rows)]))
    parts = draw_videos(np.random.default_rng(0), labels)
    assert parts['val'] == {'0001': [99, 4]}
    assert parts['train'] == {'0054': [1], '0060': [31, 99, 6, 8]}
    assert len(parts['test']) == NUM_VIDEOS['test'] and not {'0054', '0060'} & set(parts['test'])
    assert sum(map(len, parts['test'].values())) == NUM_CLIPS['test']
    labels.write_text('clip_id,label\n0001_0,31\n0001_2,31\n')
    with pytest.raises(ValueError, match='labels.csv.*0001'):
        draw_videos(np.random.default_rng(0), labels)


@pytest.mark.parametrize('zipped', [False, True])
def test_same_seed_same_bytes(tmp_path, zipped):
    arguments = dict(videos_per_part=2, openpose_videos=1, zipped=zipped)
    for name, workers, seed in (('one', 1, 0), ('two', 2, 0), ('other', 1, 1)):
        make_release(tmp_path / name, workers=workers, seed=seed, **arguments)
    one, two, other = (files_below(tmp_path / name) for name in ('one', 'two', 'other'))
    assert one == two
    assert one != other


# layouts

def test_challenge_layout(clean):
    part_of = {part: sorted(by_video(clips))[0] for part, clips in clean.clips.items()}
    files = files_below(Path(clean.root))
    for part, video in (('train', 'imigue_rgb_phase1/train_data'),
                        ('val', 'imigue_rgb_phase1/validation_data'),
                        ('test', 'imigue_rgb_phase2')):
        assert f'{video}/{part_of[part]}/{part_of[part]}.mp4' in files
    for part, skeleton in (('train', 'imigue_data_phase1/datasets/imigue_skeleton_train'),
                           ('val', 'imigue_data_phase1/datasets/imigue_skeleton_validate'),
                           ('test', 'imigue_data_phase2/imigue_skeleton_test')):
        folder = f'{skeleton}/{part_of[part]}/{part_of[part]}'
        assert f'{folder}_label.csv' in files and f'{folder}_light_hand.csv' in files
    assert len(files) == 3 * len(clean.videos)


def test_layout_of_2023(tmp_path):
    release = make_release(tmp_path / 'a', videos_per_part=1, workers=1, layout='2023')
    assert (tmp_path / 'a/imigue_data_phase1/imigue_skeleton_validate/0001/0001_label.csv').exists()
    assert not (tmp_path / 'a/imigue_data_phase1/datasets').exists()
    assert release.videos['0001'] == 'imigue_rgb_phase1/validation_data/0001/0001.mp4'


def test_licensed_layout(tmp_path):
    release = make_release(tmp_path / 'a', videos_per_part=40, workers=1, layout='licensed')
    with (tmp_path / 'a/Label/labels_20200831.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert {'video_id', 'class', 'start_frame', 'end_frame', 'win_or_lose', 'subject_id'} < set(
        rows[0])
    found, subjects = {}, {}
    for row in rows:
        found.setdefault(row['video_id'], []).append(
            (int(row['class']), int(row['start_frame']), int(row['end_frame'])))
        subjects.setdefault(row['video_id'], set()).add(int(row['subject_id']))
    videos = {part: by_video(clips) for part, clips in release.clips.items()}
    assert found == {**videos['train'], **videos['val'], **videos['test']}
    assert subjects == {video_id: {subject} for video_id, subject in release.subjects.items()}
    groups = {part: {release.subjects[video_id] for video_id in videos[part]} for part in videos}
    assert len(groups['train']) == 37 and len(groups['test']) == 35
    assert groups['val'] < groups['train']
    assert groups['train'] | groups['test'] == set(range(1, 73))
    for part, folder in (('train', 'iMiGUE_RGB_Phase1/imigue_rgb_train'),
                         ('val', 'iMiGUE_RGB_Phase1/imigue_rgb_validate'),
                         ('test', 'iMiGUE_RGB_Phase2/imigue_rgb_test')):
        for video_id in videos[part]:
            assert (tmp_path / 'a' / folder / video_id / f'{video_id}.mp4').stat().st_size
    assert len({clip.code for clip in release.clips['test']}) > 5  # real classes, unlike there


def test_workbook_agrees_with_the_csv(tmp_path):
    make_release(tmp_path / 'a', videos_per_part=1, workers=1, openpose_videos=1)
    folder = tmp_path / 'a/imigue_data_phase1/datasets/imigue_skeleton_validate/0001'
    _, joints = read_skeleton(folder / '0001_light_hand.csv')
    with zipfile.ZipFile(folder / '0001_openpose.xlsx') as archive:
        sheet = ET.fromstring(archive.read('xl/worksheets/sheet1.xml'))
    space = '{http://schemas.openxmlformats.org/spreadsheetml/2006/main}'
    cells = [row.findall(f'{space}c') for row in sheet.iter(f'{space}row')]
    full = np.array([[float(cell.findtext(f'{space}v')) for cell in row] for row in cells])
    assert full.shape == (len(joints), 411)
    assert cells[1][0].get('r') == 'A2' and cells[0][410].get('r') == 'OU1'
    light = [*range(25), 99, 103, 107, 111, 115, 120, 124, 128, 132, 136]
    assert np.array_equal(full.reshape(-1, 137, 3)[:, light], joints)


def test_zips_hold_the_same_files(clean, tmp_path):
    release = make_release(tmp_path / 'a', videos_per_part=VIDEOS, workers=1, zipped=True)
    files, junk = {}, []
    for name in sorted(path.name for path in (tmp_path / 'a').iterdir()):
        with zipfile.ZipFile(tmp_path / 'a' / name) as archive:
            assert archive.testzip() is None
            for entry in archive.namelist():
                if entry.startswith('__MACOSX'):
                    junk.append((name, entry))
                else:
                    files[entry] = archive.read(entry)
    assert files == files_below(Path(clean.root))
    assert {name for name, _ in junk} == {
        'imigue_skeleton_phase1.zip', 'imigue_rgb_phase1.zip', 'imigue_skeleton_phase2.zip',
        'imigue_rgb_phase2.zip'}
    assert any(re.fullmatch(r'__MACOSX/.*/\._\d{4}\.mp4', entry) for _, entry in junk)
    assert release.videos == clean.videos and not list(tmp_path.glob('*.unpacked-*'))


def test_odd_names(tmp_path):
    out = tmp_path / 'iMiGUE données 数据'
    release = make_release(out, videos_per_part=2, workers=1, defects=['crlf'])
    for video_id, video in release.videos.items():
        assert len(read_frames(out / video)[0]) == release.frames[video_id]
    written = json.loads((tmp_path / f'{out.name}.planted.json').read_text('utf-8'))
    assert written['root'] == str(out)


# defects

def test_each_defect_has_a_video_of_its_own(spoilt, planted):
    assert list(planted) and set(planted) == set(possible('challenge', False))
    videos = [entry.video_id for entry in spoilt.planted if entry.video_id]
    assert len(set(videos)) == len(videos) == len(
        [name for name in planted if DEFECTS[name].kind != 'release'])
    part_of = {video_id: part for part, clips in spoilt.clips.items() for video_id in
               by_video(clips)}
    assert {part_of[video_id] for video_id in videos} == {'train', 'val', 'test'}
    assert sum(part_of[video_id] == 'val' for video_id in videos) <= len(VAL_IDS) - 2
    for entry in spoilt.planted:
        if DEFECTS[entry.name].kind != 'release':
            assert entry.video_id in entry.expected or entry.clip_id in entry.expected


def test_nothing_but_the_named_files_differs(tmp_path, clean):
    names = [name for name in possible('challenge', False) if name != 'extra_folder_level']
    spoilt = make_release(tmp_path / 'a', videos_per_part=VIDEOS, workers=1, defects=names)
    before, after = files_below(Path(clean.root)), files_below(tmp_path / 'a')
    changed = {file for file in {*before, *after} if before.get(file) != after.get(file)}
    for entry in spoilt.planted:
        if entry.name == 'macosx_junk':
            named = {file for file in changed if '__MACOSX' in file or '/._' in file}
        elif DEFECTS[entry.name].kind == 'row' or entry.name == 'other_resolution':
            # the stream ends with the clip that goes beyond it; joints are in pixels
            named = {file for file in changed if f'/{entry.video_id}/' in file}
        elif entry.name in ('two_videos_of_one_id', 'same_video_twice'):
            named = {entry.file.replace('/train_data/', '/train_data_old/')}
        else:
            named = {entry.file}
        assert named and named <= changed, entry
        changed -= named
    assert not changed


BAD_ROWS = {
    'start_after_end': lambda row, frames: row[1] > row[2],
    'end_beyond_stream': lambda row, frames: row[1] < frames and row[2] == frames + 2,
    'start_beyond_stream': lambda row, frames: row[1] >= frames,
    'negative_start': lambda row, frames: row[1] == -3 and row[2] > 0,
    'class_0': lambda row, frames: row[0] == 0,
    'class_32': lambda row, frames: row[0] == 32,
    'class_100': lambda row, frames: row[0] == 100,
}


@pytest.mark.parametrize('name', [name for name, defect in DEFECTS.items() if defect.kind == 'row'
                                  and 'challenge' in defect.layouts])
def test_rows(name, spoilt, planted):
    entry = planted[name]
    lines = (Path(spoilt.root) / entry.file).read_text().splitlines()
    clips = {clip.clip_id: clip for part in spoilt.clips.values() for clip in part}
    wrong = [number for number, line in enumerate(lines, 1)
             if line != ','.join(map(str, clips[f'{entry.video_id}_{number - 1}'][1:]))]
    assert wrong == [entry.line]
    assert entry.clip_id == f'{entry.video_id}_{entry.line - 1}'
    frames = spoilt.frames[entry.video_id]
    if name == 'class_text':
        assert lines[entry.line - 1].startswith('abc,')
    else:
        assert BAD_ROWS[name](tuple(map(int, lines[entry.line - 1].split(','))), frames)
    if name == 'end_beyond_stream':
        assert clips[entry.clip_id].end == frames - 1  # what clamping makes
    if name == 'negative_start':
        assert clips[entry.clip_id].start == 0
    assert entry.lost == ([] if name in ('end_beyond_stream', 'negative_start')
                          else [entry.clip_id])
    assert entry.may_lose == ([entry.clip_id] if name == 'negative_start' else [])


def test_text_of_labels(spoilt, planted):
    def content(name):
        return (Path(spoilt.root) / planted[name].file).read_bytes()

    def rows_of(name):
        return [clip[1:] for part in spoilt.clips.values() for clip in part
                if clip.clip_id.split('_')[0] == planted[name].video_id]

    def plain(name):
        return ''.join(','.join(map(str, row)) + '\n' for row in rows_of(name)).encode()

    assert content('bom') == b'\xef\xbb\xbf' + plain('bom')
    assert content('crlf') == plain('crlf').replace(b'\n', b'\r\n')
    assert content('header') == b'class,start_frame,end_frame\n' + plain('header')
    assert content('label_empty') == b''
    lines = content('blank_lines').decode().split('\n')
    assert lines[planted['blank_lines'].line - 1] == '' and lines[-2:] == ['', '']
    assert [line for line in lines if line] == plain('blank_lines').decode().split()
    line = content('spaces').decode().splitlines()[planted['spaces'].line - 1]
    assert line.startswith(' ') and line.endswith(' ') and content('spaces').replace(
        b' ', b'') == plain('spaces')
    entry = planted['short_row']
    row = content('short_row').decode().splitlines()[entry.line - 1]
    assert row == ','.join(map(str, rows_of('short_row')[entry.line - 1][:2]))
    assert entry.lost == [entry.clip_id]
    entry = planted['video_without_labels']
    assert not (Path(spoilt.root) / entry.file).exists() and len(entry.lost) == len(
        rows_of('video_without_labels'))
    assert (Path(spoilt.root) / spoilt.videos[entry.video_id]).exists()


@pytest.mark.parametrize('name', ['corrupt_mp4', 'damaged_mp4', 'empty_mp4'])
def test_unreadable_videos(name, spoilt, planted):
    path = Path(spoilt.root) / planted[name].file
    with pytest.raises(av.error.FFmpegError):
        av.open(str(path))
    assert (path.stat().st_size == 0) == (name == 'empty_mp4')
    assert spoilt.readable[planted[name].video_id] == 0
    assert len(planted[name].lost) >= 5


def test_other_videos(spoilt, planted):
    root = Path(spoilt.root)

    def frames(name):
        return list(range(spoilt.frames[planted[name].video_id]))

    assert not (root / planted['labels_without_video'].file).exists()
    assert read_frames(root / planted['other_resolution'].file) == (frames('other_resolution'),
                                                                    PORTRAIT)
    path = root / planted['variable_frame_rate'].file
    assert read_frames(path)[0] == frames('variable_frame_rate')
    assert len(decord.VideoReader(str(path))) == len(frames('variable_frame_rate'))
    with av.open(str(path)) as container:
        times = [frame.pts for frame in container.decode(video=0)]
    assert len(set(np.diff(times))) == 2
    for name, same in (('same_video_twice', True), ('two_videos_of_one_id', False)):
        files = sorted(root.rglob(f'{planted[name].video_id}.mp4'))
        assert len(files) == 2
        assert (files[0].read_bytes() == files[1].read_bytes()) == same
        assert (len(read_frames(files[0])[0]) == len(read_frames(files[1])[0])) == same
        assert (read_colour(files[0]) == read_colour(files[1])) == same


def test_video_whose_packets_are_cut_off(spoilt, planted):
    entry = planted['damaged_faststart_mp4']
    path = Path(spoilt.root) / entry.file
    planned, left = spoilt.frames[entry.video_id], spoilt.readable[entry.video_id]
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == planned  # what the index still claims
    assert read_frames(path)[0] == list(range(left)) and left == int(.6 * planned)
    clips = [clip for part in spoilt.clips.values() for clip in part
             if clip.clip_id.startswith(entry.video_id)]
    assert entry.lost == [clip.clip_id for clip in clips if clip.start >= left]
    assert set(entry.may_lose) == {clip.clip_id for clip in clips
                                   if clip.start < left <= clip.end}
    assert entry.lost and str(left) in entry.expected


def test_skeletons(spoilt, planted):
    def lines(name):
        return (Path(spoilt.root) / planted[name].file).read_text().splitlines()

    def columns(name):
        return [len(line.split(',')) for line in lines(name)]

    def frames(name):
        return spoilt.frames[planted[name].video_id]

    header = ',' + ','.join(map(str, range(105)))
    index = {name: [line.split(',')[0] for line in lines(name)] for name in planted
             if DEFECTS[name].kind == 'skeleton'}
    counted = {name: list(map(str, range(frames(name)))) for name in index}
    for name in index:
        if name in ('skeleton_without_header', 'skeleton_header_missing'):
            assert lines(name)[0] != header
        elif name != 'skeleton_wrong_columns':
            assert lines(name)[0] == header
    assert index['skeleton_row_missing'] == ['', *counted['skeleton_row_missing'][:-1]]
    name = 'skeleton_row_extra'
    assert index[name] == ['', *counted[name], str(frames(name))]
    assert planted[name].line == len(index[name])
    name = 'skeleton_without_header'
    assert index[name] == counted[name][1:]
    name = 'skeleton_header_missing'
    assert index[name] == counted[name]
    assert index['skeleton_empty'] == ['']
    for name, cell in (('skeleton_nan', 'nan'), ('skeleton_text', 'abc')):
        assert index[name] == ['', *counted[name]]
        assert [number for number, line in enumerate(lines(name), 1) if cell in line] == [
            planted[name].line]
        assert lines(name)[planted[name].line - 1].count(cell) == 1
    assert set(columns('skeleton_wrong_columns')) == {103}
    assert [number for number, width in enumerate(columns('skeleton_short_row'), 1)
            if width != 106] == [planted['skeleton_short_row'].line]
    _, joints = read_skeleton(Path(spoilt.root) / planted['skeleton_zeros'].file)
    assert joints.shape == (frames('skeleton_zeros'), 35, 3) and not joints.any()
    _, joints = read_skeleton(Path(spoilt.root) / planted['hands_swapped'].file)
    left = np.linalg.norm(joints[:, 25:30, None, :2] - joints[:, None, [7, 4], :2], axis=-1)
    assert (left[..., 0] > left[..., 1]).all()


def test_defects_of_the_whole_release(spoilt, planted):
    root = Path(spoilt.root)
    assert planted['extra_folder_level'].file == 'imigue_rgb_phase2/test_data'
    assert [path.name for path in (root / 'imigue_rgb_phase2').iterdir()] == ['test_data']
    junk = list(root.rglob('._*'))
    assert {path.suffix for path in junk} == {'.mp4', '.csv'}
    assert all(len(path.read_bytes()) == 124 for path in junk)


def test_defects_of_zips(tmp_path):
    release = make_release(tmp_path / 'a', videos_per_part=2, workers=1, zipped=True,
                           defects=['truncated_zip', 'zip_slip'])
    cut, slip = (tmp_path / 'a' / entry.file for entry in release.planted)
    assert not zipfile.is_zipfile(cut)
    assert (tmp_path / 'a/imigue_skeleton_phase2.zip').read_bytes().startswith(cut.read_bytes())
    assert zipfile.ZipFile(slip).namelist() == ['imigue_extra/readme.txt', '../evil.txt']


def test_defects_of_the_licensed_labels(tmp_path):
    release = make_release(tmp_path / 'a', videos_per_part=VIDEOS, workers=1, layout='licensed',
                           defects='all')
    text = (tmp_path / 'a/Label/labels_20200831.csv').read_bytes()
    assert text.startswith(b'\xef\xbb\xbfvideo_id') and b'\n' not in text.replace(b'\r\n', b'')
    lines = text.decode('utf-8-sig').split('\r\n')
    for entry in release.planted:
        if entry.clip_id is None:
            continue
        line = lines[entry.line - 1].replace(' ', '')
        if entry.name == 'unpadded_id':
            assert line.startswith(entry.video_id.lstrip('0') + ',')
        elif entry.name == 'blank_lines':
            assert line == '' and lines[entry.line].startswith(entry.video_id)
        else:
            assert line.startswith(entry.video_id)
            before = [other for other in lines[1:entry.line - 1]
                      if other.startswith(entry.video_id)]
            assert entry.clip_id == f'{entry.video_id}_{len(before)}'
    absent = next(entry for entry in release.planted if entry.name == 'video_without_labels')
    assert not any(line.startswith(absent.video_id) for line in lines)


# what cannot be written, and the command

def test_refusals(tmp_path):
    with pytest.raises(ValueError, match='odd.*challenge'):
        make_release(tmp_path / 'a', layout='odd')
    with pytest.raises(ValueError, match='licensed'):
        make_release(tmp_path / 'a', layout='licensed', zipped=True)
    with pytest.raises(ValueError, match='zip_slip, nonsense|nonsense, zip_slip'):
        make_release(tmp_path / 'a', defects=['zip_slip', 'nonsense'])
    with pytest.raises(ValueError, match='is free'):
        make_release(tmp_path / 'a', videos_per_part=1, defects='all')
    assert not list(tmp_path.iterdir())
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a/mine.txt').write_text('mine')
    with pytest.raises(FileExistsError, match='mine|not an empty folder'):
        make_release(tmp_path / 'a', videos_per_part=1)
    assert (tmp_path / 'a/mine.txt').read_text() == 'mine'


@pytest.mark.parametrize('defects, names', [
    ([], []), (['--defects', 'bom', 'class_0'], ['bom', 'class_0']),
    (['--defects'], possible('2023', True))])
def test_command(tmp_path, monkeypatch, capsys, defects, names):
    planted = tmp_path / 'planted.json'
    monkeypatch.setattr(sys, 'argv', [
        'full_release.py', str(tmp_path / 'a'), '--layout', '2023', '--zip', '--scale', '16',
        '--workers', '1', '--planted', str(planted), *defects])
    full_release.main()
    written = json.loads(planted.read_text())
    assert {entry['name'] for entry in written['planted']} == set(names)
    assert {path.name for path in (tmp_path / 'a').iterdir()} >= set(full_release.ZIPS)
    text = capsys.readouterr().out
    for part, clips in written['clips'].items():
        assert re.search(rf'{part} +\d+ videos +{len(clips)} clips', text)
    assert f'{sum(written["frames"].values()):,} frames' in text
    assert all(entry['expected'] in text for entry in written['planted'])


@pytest.mark.slow
def test_every_frame_of_a_full_release(tmp_path):
    release = make_release(tmp_path / 'a', defects='all')
    assert {part: len(clips) for part, clips in release.clips.items()} == NUM_CLIPS
    for video_id, video in release.videos.items():
        if release.readable[video_id]:
            numbers, _ = read_frames(tmp_path / 'a' / video)
            assert numbers == list(range(release.readable[video_id])), video
    unreadable = {entry.video_id for entry in release.planted if DEFECTS[entry.name].kind == 'video'
                  and len(entry.lost) and not release.readable[entry.video_id]}
    assert unreadable == {video_id for video_id, left in release.readable.items() if not left}
    assert len(unreadable) == 4

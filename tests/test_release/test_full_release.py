"""The synthetic full-size release: what it says it wrote is what there is."""
import itertools
from collections import Counter

import av
import full_release
import numpy as np
import pytest
from full_release import SKELETON_FOLDERS, make_release
from release_defects import DEFECTS, possible
from release_media import LANDSCAPE, nose_x, read_number
from release_plan import NUM_CLIPS, NUM_VIDEOS, VAL_IDS, draw_videos, plan_video

VIDEOS = 16  # per part: room for all defects


def read_frames(path):
    with av.open(str(path)) as container:
        images = [frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)]
    return [read_number(image) for image in images], images[0].shape[1::-1]


def files_below(root):
    return {path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob('*')) if path.is_file()}


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
    return make_release(tmp_path_factory.mktemp('clean') / 'r', videos_per_part=VIDEOS, workers=1)


def test_clean_release_is_what_the_description_says(clean):
    found = {}
    for part, clips in clean.clips.items():
        for video_id, rows in by_video(clips).items():
            folder = clean.root / SKELETON_FOLDERS['challenge'][part] / video_id
            text = (folder / f'{video_id}_label.csv').read_text()
            assert [tuple(map(int, line.split(','))) for line in text.splitlines()] == rows
            numbers, size = read_frames(clean.root / clean.videos[video_id])
            assert numbers == list(range(clean.frames[video_id])) and size == LANDSCAPE
            assert len(numbers) == clean.readable[video_id]
            assert all(0 <= start <= end < len(numbers) for _, start, end in rows)
            table = np.loadtxt(folder / f'{video_id}_light_hand.csv', delimiter=',', skiprows=1)
            joints = table[:, 1:].reshape(-1, 35, 3)
            assert table[:, 0].tolist() == numbers
            assert joints[:, 0, 0].tolist() == [nose_x(number, 64) for number in numbers]
            wrists = joints[:, [7, 4], None, :2]  # of the left tips and of the right ones
            tips = joints[:, 25:, :2].reshape(-1, 2, 5, 2)
            near = np.linalg.norm(tips - wrists, axis=-1).max()
            assert near < np.linalg.norm(tips - wrists[:, ::-1], axis=-1).min()
            assert (joints[..., :2] < LANDSCAPE).all()
            found[video_id] = len(numbers)
    assert found == clean.frames and not clean.planted
    assert {clip.code for clip in clean.clips['test']} == {full_release.PLACEHOLDER}


def test_neighbours_overlap_and_leave_gaps():
    plan = plan_video('0123', 'train', 2, [1] * 60, seed=0)
    gaps = [after.start - before.end - 1 for before, after in itertools.pairwise(plan.clips)]
    assert min(gaps) == -2 and max(gaps) == 4
    assert {clip.end - clip.start + 1 for clip in plan.clips} == set(range(4, 13))


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


def test_labels_of_phase_1_are_taken(tmp_path):
    labels = tmp_path / 'labels.csv'
    labels.write_text('clip_id,label\n0060_3,7\n0060_2,5\n0060_1,31\n0060_0,30\n0054_0,0\n'
                      '0001_1,3\n0001_0,31\n')
    parts = draw_videos(np.random.default_rng(0), labels)
    assert parts['val'] == {'0001': [99, 4]}
    assert parts['train'] == {'0054': [1], '0060': [31, 99, 6, 8]}
    assert len(parts['test']) == NUM_VIDEOS['test'] and not {'0054', '0060'} & set(parts['test'])
    assert sum(map(len, parts['test'].values())) == NUM_CLIPS['test']


@pytest.mark.parametrize('zipped', [False, True])
def test_same_seed_same_bytes(tmp_path, zipped):
    for name, workers, seed in (('one', 1, 0), ('two', 2, 0), ('other', 1, 1)):
        make_release(tmp_path / name, workers=workers, seed=seed, videos_per_part=2,
                     openpose_videos=1, zipped=zipped)
    one, two, other = (files_below(tmp_path / name) for name in ('one', 'two', 'other'))
    assert one == two
    assert one != other


def test_nothing_but_the_named_files_differs(tmp_path, clean):
    names = [name for name in possible('challenge', False) if name != 'extra_folder_level']
    spoilt = make_release(tmp_path / 'a', videos_per_part=VIDEOS, defects=names)
    assert [entry.name for entry in spoilt.planted if not entry.video_id] == ['macosx_junk']
    videos = [entry.video_id for entry in spoilt.planted if entry.video_id]
    assert len(set(videos)) == len(videos) == len(names) - 1
    assert all(by_video(clips).keys() & set(videos) for clips in spoilt.clips.values())
    before, after = files_below(clean.root), files_below(tmp_path / 'a')
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


@pytest.mark.slow
def test_every_frame_of_a_full_release(tmp_path):
    release = make_release(tmp_path / 'a', defects='all')
    assert {part: len(clips) for part, clips in release.clips.items()} == NUM_CLIPS
    for video_id, video in release.videos.items():
        if release.readable[video_id]:
            numbers, _ = read_frames(tmp_path / 'a' / video)
            assert numbers == list(range(release.readable[video_id])), video
    assert list(release.readable.values()).count(0) == 4

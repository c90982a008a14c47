"""The synthetic dataset: its layout, its determinism, and that nothing gives the class away."""
import csv
import ctypes
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from running import run_tool

from gaie_mmaction.datasets import IMIGUE_CODES, VideoFile
from gaie_mmaction.synthetic import make_release, release
from gaie_mmaction.synthetic.drawing import draw_background, draw_foreground, draw_frame
from gaie_mmaction.synthetic.gestures import GESTURES, apply_gesture
from gaie_mmaction.synthetic.person import HEIGHT, WIDTH, get_joints, idle_pose, sample_subject

PARTS = dict(train=2, validate=1, test=1)
M_PERTURB = -6  # of glibc's mallopt: new memory is filled with the byte's complement


def read(path):
    with open(path, newline='') as file:
        return list(csv.reader(file))


def read_labels(folder, video_id):
    return [tuple(map(int, row)) for row in read(next(folder.rglob(f'{video_id}_label.csv')))]


def open_video(folder, video_id):
    return VideoFile(next(folder.rglob(f'{video_id}.mp4')))


def grey_frames(folder, video_id, numbers):
    with open_video(folder, video_id) as video:
        return np.stack(video.read(numbers)).astype(float).mean(-1)


def regions(folder):
    return {row[0]: list(map(int, row[1:])) for row in read(folder / 'regions.csv')[1:]}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp('synthetic') / 'release'
    assert make_release(out, seed=3, subjects=PARTS, clips_per_class=1, workers=2) == 32
    return out


def test_layout_and_labels(folder):
    skeletons = ('imigue_data_phase1/datasets/imigue_skeleton_train/0001/0001',
                 'imigue_data_phase1/datasets/imigue_skeleton_train/0002/0002',
                 'imigue_data_phase1/datasets/imigue_skeleton_validate/0003/0003',
                 'imigue_data_phase2/imigue_skeleton_test/0004/0004')
    assert {str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file()} == {
        *(f'{path}_{kind}.csv' for path in skeletons for kind in ('label', 'light_hand')),
        'imigue_rgb_phase1/train_data/0001/0001.mp4', 'imigue_rgb_phase1/train_data/0002/0002.mp4',
        'imigue_rgb_phase1/validation_data/0003/0003.mp4', 'imigue_rgb_phase2/0004/0004.mp4',
        'test_answers.csv', 'regions.csv', release.MARKER}
    answers = {row[0]: int(row[1]) for row in read(folder / 'test_answers.csv')[1:]}
    assert list(answers) == [f'0004_{k}' for k in range(8)]
    assert sorted(answers.values()) == sorted(map(IMIGUE_CODES.index, GESTURES.values()))
    for video_id in ('0001', '0002', '0003', '0004'):
        rows = read_labels(folder, video_id)
        assert all(0 <= start < end < len(open_video(folder, video_id)) for _, start, end in rows)
        assert all(rows[k][2] < rows[k + 1][1] for k in range(len(rows) - 1))
        codes = Counter(code for code, _, _ in rows)
        assert codes == ({release.PLACEHOLDER: 8} if video_id == '0004' else
                         Counter(GESTURES.values()))


def test_skeletons(folder):
    for path in folder.rglob('*_light_hand.csv'):
        rows = read(path)
        assert len(rows) == len(open_video(folder, path.parent.name)) + 1
        joints = np.array(rows[1:], float)[:, 1:].reshape(-1, 35, 3)
        seen = joints[..., 2] > 0
        assert (joints[~seen] == 0).all()
        assert (joints[..., 0] <= WIDTH).all() and (joints[..., 1] <= HEIGHT).all()
        assert not seen[:, 8:15].any() and not seen[:, 19:25].any()
        mean = joints[..., :2].mean(0)
        for tips, own, other in ((range(25, 30), 7, 4), (range(30, 35), 4, 7)):
            near = np.linalg.norm(mean[list(tips)] - mean[own], axis=1).mean()
            assert near < np.linalg.norm(mean[list(tips)] - mean[other], axis=1).mean()
        # the person's right is on the left of the picture
        assert mean[2, 0] < mean[5, 0] and mean[15, 0] < mean[16, 0]


def test_regions_hold_the_movement(folder):
    """Frames differ more inside a gesture's region than outside; it holds most of the change."""
    boxes, shares = regions(folder), {code: [] for code in GESTURES.values()}
    for video_id in ('0001', '0002', '0003'):
        for k, (code, start, end) in enumerate(read_labels(folder, video_id)):
            x0, y0, x1, y1 = boxes[f'{video_id}_{k}']
            assert 0 <= x0 < x1 < WIDTH and 0 <= y0 < y1 < HEIGHT
            inside = np.zeros((HEIGHT, WIDTH), bool)
            inside[y0:y1 + 1, x0:x1 + 1] = True
            frames = grey_frames(folder, video_id, range(start, end + 1))
            motion = np.abs(np.diff(frames, axis=0)).mean(0)
            if video_id == '0001':
                assert motion[inside].mean() > 1.15 * motion[~inside].mean(), code
            frames = frames[np.linspace(0, end - start, 12).astype(int)]
            changed = np.abs(frames[3:9] - frames[0]).max(0) > 20
            shares[code].append(changed[inside].sum() / max(changed.sum(), 1))
    for name in ('scratching neck', 'touching ear', 'rubbing hands', 'folding arms',
                 'shaking shoulders', 'illustrative'):
        # a box around the hands without the arms holds a fifth to two fifths
        assert len(shares[GESTURES[name]]) == 3 and np.mean(shares[GESTURES[name]]) > .6, name


@pytest.mark.skipif(sys.platform != 'linux', reason="glibc's mallopt")
def test_frames_do_not_depend_on_what_the_memory_held(tmp_path):
    """x264's macroblock tree reads memory that it has not written."""
    videos, mallopt = [], ctypes.CDLL(None).mallopt
    try:
        for fill in (85, 170):
            assert mallopt(M_PERTURB, fill)
            release.make_video('0005', tmp_path / 'v.mp4', tmp_path, False, 0, 1)
            videos.append((tmp_path / 'v.mp4').read_bytes())
    finally:
        mallopt(M_PERTURB, 0)
    assert videos[0] == videos[1]


def test_the_seed_alone_decides(folder, tmp_path):
    make_release(tmp_path / 'again', seed=3, subjects=PARTS, clips_per_class=1, workers=1)
    for path in folder.rglob('*'):
        other = tmp_path / 'again' / path.relative_to(folder)
        assert path.is_dir() or path.read_bytes() == other.read_bytes(), path
    release.make_video('0001', tmp_path / 'other.mp4', tmp_path, False, 4, 1)
    own = next(folder.rglob('0001.mp4')).read_bytes()
    assert (tmp_path / 'other.mp4').read_bytes() != own


def test_length_says_nothing_of_the_class():
    lengths = {gesture: [] for gesture in GESTURES}
    for seed in range(150):
        for gesture, first, last in release.plan_clips(np.random.default_rng(seed), 2):
            lengths[gesture].append(last - first + 1)
    low, high = release.CLIP_FRAMES
    # 300 uniform lengths: a mean's standard deviation is about 0.35 frames
    assert all(abs(np.mean(v) - (low + high) / 2) < 4 * .35 for v in lengths.values())
    assert all({min(v), max(v)} == {low, high} for v in lengths.values())


def test_gaps():
    gaps = {clip[1] - before[2] - 1 for seed in range(50)
            for clips in [release.plan_clips(np.random.default_rng(seed), 2, (20, 30))]
            for before, clip in zip(clips, clips[1:])}
    assert gaps == set(range(20, 31))
    with pytest.raises(ValueError, match=r'gap_frames\[1\] must be at least 5, but got 4'):
        make_release(Path('never'), 0, dict(train=1), 1, 1, gap_frames=(5, 4))


def test_gestures_start_from_rest_and_move_a_small_region():
    """The first frame is the same for all; the middle changes less than a third of the picture."""
    rng = np.random.default_rng(0)
    subject = sample_subject(rng)
    background, layers = draw_background(rng), draw_foreground(rng, subject)

    def pose(gesture=None, time=0., side=0):
        posed = idle_pose(subject, 0, np.zeros(6))
        return apply_gesture(subject, posed, gesture, time, 30, side, 1.) if gesture else posed

    def picture(posed):
        joints = get_joints(subject, posed)
        return draw_frame(subject, posed, joints, background, *layers).astype(int)

    rest = get_joints(subject, pose())
    for gesture in GESTURES:
        for side in (0, 1):
            for name, point in get_joints(subject, pose(gesture, 0., side)).items():
                np.testing.assert_allclose(point, rest[name], atol=1e-9)
        changed = (np.abs(picture(pose(gesture, .5)) - picture(pose())).max(-1) > 12).mean()
        assert .001 < changed < .33, (gesture, changed)


def nearest_other_subject(folder, position):
    """Accuracy of a nearest-neighbour probe across subjects that sees one frame of each clip.

    ``position`` is 0 for the first and 1 for the last frame; chance is 1/8.
    """
    pictures, codes, subjects = [], [], []
    for video_id in ('0001', '0002', '0003'):  # the test part's classes are placeholders
        rows = read_labels(folder, video_id)
        frames = grey_frames(folder, video_id, [int(a + position * (b - a)) for _, a, b in rows])
        small = frames.reshape(len(rows), HEIGHT // 8, 8, WIDTH // 8, 8).mean((2, 4))
        small -= small.mean(0)  # who it is, and where, is no help to the probe nor a burden
        pictures += list(small / small.std())
        codes += [code for code, _, _ in rows]
        subjects += [video_id] * len(rows)
    pictures, codes, subjects = map(np.array, (pictures, codes, subjects))
    distance = ((pictures[:, None] - pictures[None])**2).sum((2, 3))
    distance[subjects[:, None] == subjects] = np.inf
    return float((codes[distance.argmin(1)] == codes).mean())


def test_only_the_middle_of_a_clip_tells_the_class(folder):
    chance_at_most = 8 / 24  # 24 clips: 3 are chance, and 8 are 3 standard deviations above it
    assert nearest_other_subject(folder, 0.) <= chance_at_most < nearest_other_subject(folder, .5)


def test_what_is_there_is_guarded(tmp_path, monkeypatch):
    def draw(root, *_):
        root.mkdir(parents=True)
        (root / release.MARKER).write_text('new')
        return 5

    monkeypatch.setattr(release, '_draw_release', draw)
    out = tmp_path / 'release'
    out.mkdir()
    (out / 'precious.txt').write_text('x')
    with pytest.raises(FileExistsError, match='is not a synthetic dataset'):
        make_release(out, 0, PARTS, 1, 1)
    (out / release.MARKER).write_text('old')
    with pytest.raises(FileExistsError, match='--overwrite'):
        make_release(out, 0, PARTS, 1, 1, overwrite=False)
    assert (out / 'precious.txt').exists()
    assert make_release(out, 0, PARTS, 1, 1) == 5  # replaces all of it
    assert [path.name for path in tmp_path.iterdir()] == ['release']
    assert {path.name: path.read_text() for path in out.iterdir()} == {release.MARKER: 'new'}


def test_nothing_is_left_of_a_failed_release(tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError('no more processes')

    monkeypatch.setattr(release, 'in_parallel', fail)
    (tmp_path / 'release.partial').mkdir()
    with pytest.raises(OSError, match='no more processes'):
        make_release(tmp_path / 'release', 0, PARTS, 1, 1)
    assert [path.name for path in tmp_path.iterdir()] == ['release.partial']


@pytest.mark.parametrize('change, message', [
    (dict(seed=-1), 'seed must be at least 0, but got -1'),
    (dict(subjects=dict(PARTS, test=0)), 'test subjects must be at least 1, but got 0'),
])
def test_limits(tmp_path, change, message):
    options = dict(dict(seed=0, subjects=PARTS, clips_per_class=1, workers=1), **change)
    with pytest.raises(ValueError, match=message):
        make_release(tmp_path / 'out', **options)
    assert not (tmp_path / 'out').exists()


def test_command_line(tmp_path):
    message, _ = run_tool('data/make_demo_release.py', tmp_path / 'out', '--clips-per-class', 0)
    assert message == 'clips_per_class must be at least 1, but got 0'

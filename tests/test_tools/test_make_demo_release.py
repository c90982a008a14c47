"""The invented release: its layout, its determinism, and that nothing gives the class away."""
import csv
import os
import subprocess
import sys
from collections import Counter

import decord
import numpy as np
import pytest

from gaie_mmaction.synthetic import release as demo

PARTS = dict(train=2, validate=1, test=1)


def read(path):
    with open(path, newline='') as file:
        return list(csv.reader(file))


@pytest.fixture(scope='module')
def release(tmp_path_factory):
    out = tmp_path_factory.mktemp('demo') / 'release'
    demo.make_release(out, seed=3, subjects=PARTS, clips_per_class=1, workers=2)
    return out


def label_files(release):
    return sorted(release.rglob('*_label.csv'))


def test_layout(release):
    expected = [
        'imigue_data_phase1/datasets/imigue_skeleton_train/0001/0001_label.csv',
        'imigue_data_phase1/datasets/imigue_skeleton_train/0002/0002_light_hand.csv',
        'imigue_data_phase1/datasets/imigue_skeleton_validate/0003/0003_label.csv',
        'imigue_data_phase2/imigue_skeleton_test/0004/0004_label.csv',
        'imigue_rgb_phase1/train_data/0001/0001.mp4',
        'imigue_rgb_phase1/validation_data/0003/0003.mp4',
        'imigue_rgb_phase2/0004/0004.mp4',
    ]
    assert all((release / path).is_file() for path in expected)
    assert len(label_files(release)) == 4 and len(list(release.rglob('*.mp4'))) == 4


def test_labels(release):
    answers = {row[0]: int(row[1]) for row in read(release / 'test_answers.csv')[1:]}
    for path in label_files(release):
        video_id = path.parent.name
        rows = [tuple(map(int, row)) for row in read(path)]
        frames = len(decord.VideoReader(str(next(release.rglob(f'{video_id}.mp4')))))
        assert all(0 <= start < end < frames for _, start, end in rows)
        assert all(rows[k][2] < rows[k + 1][1] for k in range(len(rows) - 1))
        if video_id == '0004':
            assert {code for code, _, _ in rows} == {demo.PLACEHOLDER}
            labels = [answers[f'0004_{k}'] for k in range(len(rows))]
            assert sorted(labels) == sorted(map(demo.model_label, demo.GESTURES.values()))
        else:
            assert Counter(code for code, _, _ in rows) == Counter(demo.GESTURES.values())
    assert len(answers) == 8


def test_skeletons(release):
    for path in release.rglob('*_light_hand.csv'):
        rows = read(path)
        video = decord.VideoReader(str(next(release.rglob(f'{path.parent.name}.mp4'))))
        assert len(rows) == len(video) + 1 and {len(row) for row in rows} == {106}
        joints = np.array(rows[1:], float)[:, 1:].reshape(-1, 35, 3)
        seen = joints[..., 2] > 0
        assert (joints[~seen] == 0).all()
        assert (joints[..., 0] <= demo.WIDTH).all() and (joints[..., 1] <= demo.HEIGHT).all()
        assert not seen[:, 8:15].any() and not seen[:, 19:25].any()
        mean = joints[..., :2].mean(0)
        for tips, own, other in ((range(25, 30), 7, 4), (range(30, 35), 4, 7)):
            near = np.linalg.norm(mean[list(tips)] - mean[own], axis=1).mean()
            assert near < np.linalg.norm(mean[list(tips)] - mean[other], axis=1).mean()
        # the person's right is at the picture's left
        assert mean[2, 0] < mean[5, 0] and mean[15, 0] < mean[16, 0]


def test_regions_hold_the_movement(release):
    """Frame differences are larger in a gesture's region than outside of it."""
    regions = {row[0]: list(map(int, row[1:])) for row in read(release / 'regions.csv')[1:]}
    video = decord.VideoReader(str(next(release.rglob('0001.mp4'))))
    rows = [tuple(map(int, row)) for row in read(next(release.rglob('0001_label.csv')))]
    for k, (code, start, end) in enumerate(rows):
        frames = video.get_batch(range(start, end + 1)).asnumpy().astype(float).mean(-1)
        motion = np.abs(np.diff(frames, axis=0)).mean(0)
        x0, y0, x1, y1 = regions[f'0001_{k}']
        inside = np.zeros_like(motion, dtype=bool)
        inside[y0:y1 + 1, x0:x1 + 1] = True
        assert motion[inside].mean() > 1.15 * motion[~inside].mean(), code


@pytest.mark.parametrize('name', sorted({'scratching neck', 'touching ear', 'rubbing hands',
                                         'folding arms', 'shaking shoulders', 'illustrative'}))
def test_regions_hold_most_of_what_changes(release, name):
    """A box of the hands alone, without the arms, holds a fifth to two fifths of it."""
    regions = {row[0]: list(map(int, row[1:])) for row in read(release / 'regions.csv')[1:]}
    shares = []
    for video_id in ('0001', '0002', '0003'):
        video = decord.VideoReader(str(next(release.rglob(f'{video_id}.mp4'))))
        for k, row in enumerate(read(next(release.rglob(f'{video_id}_label.csv')))):
            code, start, end = map(int, row)
            if code != demo.GESTURES[name]:
                continue
            frames = video.get_batch(np.linspace(start, end, 12).astype(int)).asnumpy()
            frames = frames.astype(float).mean(-1)
            changed = np.abs(frames[3:9] - frames[0]).max(0) > 20
            x0, y0, x1, y1 = regions[f'{video_id}_{k}']
            assert 0 <= x0 < x1 < demo.WIDTH and 0 <= y0 < y1 < demo.HEIGHT
            shares.append(changed[y0:y1 + 1, x0:x1 + 1].sum() / changed.sum())
    assert len(shares) == 3 and np.mean(shares) > .6, shares


@pytest.mark.skipif(sys.platform != 'linux', reason='MALLOC_PERTURB_ is of glibc')
def test_frames_do_not_depend_on_what_the_memory_held(tmp_path):
    """x264's macroblock tree reads memory that it has not written."""
    code = ('import sys; from pathlib import Path; '
            'from gaie_mmaction.synthetic import release as demo; '
            'out = Path(sys.argv[1]); demo.make_video("0005", out / "v.mp4", out, False, 0, 1)')
    videos = []
    for fill in ('85', '170'):
        out = tmp_path / fill
        subprocess.run([sys.executable, '-c', code, str(out)], check=True,
                       cwd=os.path.dirname(demo.__file__), env={**os.environ,
                                                                'MALLOC_PERTURB_': fill})
        videos.append((out / 'v.mp4').read_bytes())
    assert videos[0] == videos[1]


def test_same_seed_same_release(release, tmp_path):
    again = tmp_path / 'again'
    demo.make_release(again, seed=3, subjects=PARTS, clips_per_class=1, workers=1)
    files = sorted(path.relative_to(release) for path in release.rglob('*') if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob('*') if path.is_file())
    for path in files:
        assert (release / path).read_bytes() == (again / path).read_bytes(), path


def test_other_seed_other_release(tmp_path):
    demo.make_video('0001', tmp_path / 'a.mp4', tmp_path / 'a', False, 0, 1)
    demo.make_video('0001', tmp_path / 'b.mp4', tmp_path / 'b', False, 1, 1)
    assert (tmp_path / 'a.mp4').read_bytes() != (tmp_path / 'b.mp4').read_bytes()


def test_length_says_nothing_of_the_class():
    lengths = {gesture: [] for gesture in demo.GESTURES}
    for seed in range(150):
        for gesture, first, last in demo.plan_clips(np.random.default_rng(seed), 2):
            lengths[gesture].append(last - first + 1)
    low, high = demo.CLIP_FRAMES
    means = [np.mean(values) for values in lengths.values()]
    # 300 uniform lengths: a mean's standard deviation is about 0.35 frames
    assert all(abs(mean - (low + high) / 2) < 4 * .35 for mean in means)
    assert all({min(v), max(v)} == {low, high} for v in lengths.values())


def test_first_frame_says_nothing_of_the_class():
    """Gestures start from the same rest: the first frame does not depend on the gesture."""
    subject = demo.draw_subject(np.random.default_rng(0))
    phases = np.zeros(6)
    rest = demo.joints_of(subject, demo.idle_pose(subject, 0, phases))
    for gesture in demo.GESTURES:
        for side in (0, 1):
            pose = demo.gesture_pose(subject, demo.idle_pose(subject, 0, phases), gesture, 0., 30,
                                     side, 1.)
            for name, point in demo.joints_of(subject, pose).items():
                np.testing.assert_allclose(point, rest[name], atol=1e-9)


def nearest_other_subject(release, place):
    """Share of clips whose class a nearest-neighbour probe finds on other subjects.

    Args:
        release (Path): The release.
        place (float): Which frame it sees, 0 the first and 1 the last of a clip.

    Returns:
        float: Accuracy, [0, 1]; chance is 1/8.
    """
    pictures, codes, subjects = [], [], []
    for path in label_files(release)[:3]:  # the test part's classes are placeholders
        video_id = path.parent.name
        video = decord.VideoReader(str(next(release.rglob(f'{video_id}.mp4'))))
        rows = [tuple(map(int, row)) for row in read(path)]
        frames = video.get_batch([int(a + place * (b - a)) for _, a, b in rows]).asnumpy()
        small = frames.reshape(len(rows), demo.HEIGHT // 8, 8, demo.WIDTH // 8, 8, 3)
        small = small.mean((2, 4, 5))
        small -= small.mean(0)  # who it is, and where, is no help to the probe nor a burden
        pictures += list(small / small.std())
        codes += [code for code, _, _ in rows]
        subjects += [video_id] * len(rows)
    pictures, codes, subjects = map(np.array, (pictures, codes, subjects))
    distance = ((pictures[:, None] - pictures[None])**2).sum((2, 3))
    distance[subjects[:, None] == subjects] = np.inf
    return float((codes[distance.argmin(1)] == codes).mean())


def test_pictures_tell_the_class_in_the_middle_of_a_clip_only(release):
    chance_at_most = 8 / 24  # 24 clips: 3 are chance, and 8 are 3 standard deviations above it
    assert nearest_other_subject(release, 0.) <= chance_at_most < nearest_other_subject(release, .5)


def test_gestures_move_only_a_small_region():
    """The middle of a gesture changes less than a third of the picture."""
    rng = np.random.default_rng(0)
    subject = demo.draw_subject(rng)
    background, layers = demo.draw_background(rng, subject), demo.draw_foreground(rng, subject)

    def picture(pose):
        return demo.draw_frame(subject, pose, demo.joints_of(subject, pose), background,
                               *layers).astype(int)

    rest = picture(demo.idle_pose(subject, 0, np.zeros(6)))
    for gesture in demo.GESTURES:
        pose = demo.gesture_pose(subject, demo.idle_pose(subject, 0, np.zeros(6)), gesture, .5, 30,
                                 0, 1.)
        changed = (np.abs(picture(pose) - rest).max(-1) > 12).mean()
        assert .001 < changed < .33, (gesture, changed)


def test_folder_is_guarded(tmp_path):
    (tmp_path / 'precious.txt').write_text('x')
    with pytest.raises(SystemExit, match='no demo release'):
        demo.check_folder(tmp_path, overwrite=True)
    (tmp_path / demo.MARKER).write_text('')
    with pytest.raises(SystemExit, match='--overwrite'):
        demo.check_folder(tmp_path, overwrite=False)
    demo.check_folder(tmp_path, overwrite=True)
    demo.check_folder(tmp_path / 'new', overwrite=False)


def test_nothing_is_left_of_a_failed_release(tmp_path, monkeypatch):
    def fail(workers):
        raise OSError('no more processes')

    precious = tmp_path / 'release.partial' / 'precious.txt'
    precious.parent.mkdir()
    precious.write_text('x')
    monkeypatch.setattr(demo, 'ProcessPoolExecutor', fail)
    with pytest.raises(OSError, match='no more processes'):
        demo.make_release(tmp_path / 'release', 0, PARTS, 1, 1)
    assert [path.name for path in tmp_path.iterdir()] == ['release.partial']
    assert precious.read_text() == 'x'


def test_overwrite_replaces_the_whole_release(tmp_path, monkeypatch):
    def draw(root, *_):
        root.mkdir(parents=True)
        (root / demo.MARKER).write_text('new')
        return 5

    old = tmp_path / 'release'
    old.mkdir()
    (old / demo.MARKER).write_text('old')
    (old / 'stale.csv').write_text('')
    monkeypatch.setattr(demo, 'draw_release', draw)
    assert demo.make_release(old, 0, PARTS, 1, 1) == 5
    assert [path.name for path in tmp_path.iterdir()] == ['release']
    assert [path.name for path in old.iterdir()] == [demo.MARKER]
    assert (old / demo.MARKER).read_text() == 'new'


@pytest.mark.parametrize('arguments, message', [
    (['--seed', '-1'], 'must be at least 0, but got -1'),
    (['--test-subjects', '0'], 'must be at least 1, but got 0'),
])
def test_command_line_limits(tmp_path, arguments, message):
    result = subprocess.run([sys.executable, demo.__file__, str(tmp_path / 'out'), *arguments],
                            capture_output=True, text=True)
    assert result.returncode == 2 and message in result.stderr
    assert not (tmp_path / 'out').exists()

"""What makes the synthetic dataset hard, and that the normal one is left as it is."""
import numpy as np
import pytest

from gaie_mmaction.synthetic import person
from gaie_mmaction.synthetic.difficulty import DIFFICULTIES, SHAKE_MEMORY, Difficulty, Disturbances
from gaie_mmaction.synthetic.gestures import GESTURES, apply_gesture
from gaie_mmaction.synthetic.person import HEIGHT, SCALE, WIDTH
from gaie_mmaction.synthetic.release import make_video

SHAPE = SCALE * HEIGHT, SCALE * WIDTH
HARD = DIFFICULTIES['hard']


def disturb(difficulty, num_frames=4000):
    return Disturbances(difficulty, np.random.default_rng(0), num_frames, SHAPE)


def test_normal_disturbs_nothing():
    normal = disturb(Difficulty(), 50)
    image = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
    for frame in range(50):
        assert normal.draw_behind(image, frame) is image
        assert normal.finish(image, frame) is image
    assert DIFFICULTIES['normal'] == Difficulty() and set(Difficulty().amplitude) == {1.}


def test_disturbances_are_as_large_as_stated():
    found = disturb(HARD)
    assert found.shifts.std(axis=0) == pytest.approx([HARD.shake] * 2, rel=.2)
    after, before = found.shifts[1:].ravel(), found.shifts[:-1].ravel()
    assert np.corrcoef(after, before)[0, 1] == pytest.approx(SHAKE_MEMORY, abs=.03)
    assert (found.gains > 1).mean() == pytest.approx(HARD.flashes, abs=.006)
    background = np.zeros((*SHAPE, 3), np.uint8)
    seen = [found.draw_behind(background, frame) is not background for frame in range(0, 4000, 5)]
    assert not background.any()
    # the number at a time is Poisson: nobody in exp(-mean) of the frames
    assert np.mean(seen) == pytest.approx(1 - np.exp(-HARD.passers_by), abs=.12)


def test_the_camera_moves_the_picture_by_the_shift():
    found = disturb(HARD, 10)
    found.shifts[5], found.gains[5] = (3, -2), 1.
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    assert np.array_equal(found.finish(image, 5)[:-2, 3:], image[2:, :-3])


def test_smaller_gestures_go_less_far():
    subject = person.sample_subject(np.random.default_rng(0))
    for gesture in ('scratching neck', 'folding arms', 'head up'):
        ways = []
        for amplitude in (1., .5):
            idle = person.idle_pose(subject, 0, np.zeros(6))
            rest = person.get_joints(subject, idle)
            joints = person.get_joints(subject, apply_gesture(subject, idle, gesture, .5, 30, 0, 1.,
                                                       amplitude))
            ways.append(sum(np.hypot(*(joints[name] - rest[name]))
                            for name in ('r_wrist', 'l_wrist', 'head')))
        assert ways[1] == pytest.approx(ways[0] / 2, rel=.01)


def test_a_hard_video_differs_in_pictures_alone(tmp_path):
    hard = make_video('0007', tmp_path / 'h.mp4', tmp_path / 'h', False, 0, 1, HARD)
    assert len(hard) == len(GESTURES)
    for _, _, (x0, y0, x1, y1) in hard:
        assert 0 <= x0 < x1 < WIDTH and 0 <= y0 < y1 < HEIGHT
    make_video('0007', tmp_path / 'n.mp4', tmp_path / 'n', False, 0, 1)
    labels = [(tmp_path / name / '0007_label.csv').read_bytes() for name in 'hn']
    assert labels[0] == labels[1]
    assert (tmp_path / 'n.mp4').read_bytes() != (tmp_path / 'h.mp4').read_bytes()

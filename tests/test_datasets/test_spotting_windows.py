"""Windows of whole videos: labels against plain loops over frames, background, errors."""
import numpy as np
import pytest

from gaie_mmaction.datasets.annotations import Segment
from gaie_mmaction.datasets.spotting_windows import WindowRule, dense_windows, training_windows

RULE = WindowRule(length=10, stride=3, min_overlap=.6, background_share=.4, hardness=.5)
BACKGROUND = 5
FRAMES = {'p/0001.mp4': 300, 'p/0002.mp4': 131}


def make_segments(seed=0):
    rng, segments = np.random.default_rng(seed), []
    for video, frames in FRAMES.items():
        start = int(rng.integers(5, 30))
        while start + 25 < frames:
            length = int(rng.integers(4, 25))
            segments.append(Segment(f'{video[2:6]}_{len(segments)}', video, start,
                                    start + length - 1, int(rng.integers(5))))
            start += length + int(rng.integers(3, 40))
    return segments


def plain_label(window, segments):
    """Class, background, or None where a segment is only touched."""
    frames = set(range(window.start_frame, window.end_frame + 1))
    shares = [(len(frames & set(range(s.start_frame, s.end_frame + 1)))
               / min(len(frames), s.end_frame - s.start_frame + 1), s.label)
              for s in segments if s.video == window.video]
    share, label = max(shares, key=lambda item: item[0])
    return BACKGROUND if share == 0 else label if share >= .6 else None


@pytest.mark.parametrize('seed', range(5))
def test_labels(seed):
    segments = make_segments(seed)
    dense = dense_windows(segments, FRAMES, RULE, BACKGROUND)
    for video, frames in FRAMES.items():
        own = [window for window in dense if window.video == video]
        assert [w.start_frame for w in own][:-1] == list(range(0, frames - 10, 3))
        assert own[-1].end_frame == frames - 1 and all(
            w.end_frame - w.start_frame == 9 for w in own)
    expected = {window: plain_label(window, segments) for window in dense}
    assert [w.label for w in dense] == [
        BACKGROUND if label is None else label for label in expected.values()]
    assert None in expected.values()
    chosen = training_windows(segments, FRAMES, RULE, BACKGROUND)
    assert all(expected[window] == window.label for window in chosen)
    gestures = [w for w in chosen if w.label != BACKGROUND]
    assert set(gestures) == {w for w, label in expected.items() if label in range(5)}
    free = sum(label == BACKGROUND for label in expected.values())
    assert len(chosen) - len(gestures) == min(free, round(len(gestures) * .4 / .6))


def test_hard_background_is_next_to_segments():
    segments = [Segment('0001_0', 'p/0001.mp4', 150, 160, 2)]
    for hardness, near in ((1., True), (0., False)):
        rule = WindowRule(10, 1, .6, .5, hardness)
        found = [w for w in training_windows(segments, {'p/0001.mp4': 300}, rule, BACKGROUND)
                 if w.label == BACKGROUND]
        distances = [max(150 - w.end_frame, w.start_frame - 160) for w in found]
        assert len(found) == 10 and (max(distances) <= 5) == near


def test_errors():
    segments = make_segments()
    with pytest.raises(ValueError, match='windows of 200 frames are longer than the 131 frames of '
                                         'p/0002.mp4'):
        dense_windows(segments, FRAMES, WindowRule(length=200), BACKGROUND)
    with pytest.raises(ValueError, match='no window of 125 frames is free of segments'):
        training_windows(segments, FRAMES, WindowRule(length=125), BACKGROUND)
    assert training_windows(segments, FRAMES, WindowRule(length=125, background_share=0),
                            BACKGROUND)
    for wrong in (dict(stride=0), dict(stride=33), dict(background_share=1), dict(hardness=2),
                  dict(min_overlap=0)):
        with pytest.raises(ValueError, match='must be in|needs min_overlap'):
            WindowRule(**wrong)

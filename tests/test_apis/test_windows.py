"""Windows cover a video, and segments follow the scores."""
import numpy as np
import pytest

from gaie_mmaction.apis import Segment, frame_scores, merge_segments, window_ranges


def random_cases(number=200):
    rng = np.random.default_rng(0)
    for _ in range(number):
        window = int(rng.integers(1, 40))
        yield int(rng.integers(1, 200)), window, int(rng.integers(1, window + 1)), rng


def test_windows_cover_every_frame_once_or_more():
    for num_frames, window, stride, _ in random_cases():
        ranges = window_ranges(num_frames, window, stride)
        lengths = {end - start + 1 for start, end in ranges}
        assert lengths == {min(window, num_frames)}
        starts = [start for start, _ in ranges]
        assert starts == sorted(set(starts)) and (np.diff(starts) <= stride).all()
        covered = {frame for start, end in ranges for frame in range(start, end + 1)}
        assert covered == set(range(num_frames))


def test_windows_by_hand():
    assert window_ranges(10, 10, 3) == [(0, 9)]
    assert window_ranges(11, 10, 3) == [(0, 9), (1, 10)]
    assert window_ranges(20, 8, 4) == [(0, 7), (4, 11), (8, 15), (12, 19)]


@pytest.mark.parametrize('arguments, message', [
    ((0, 8, 4), 'num_frames'), ((9, 0, 1), 'window'), ((9, 8, 0), 'got 0'), ((9, 8, 9), 'got 9')])
def test_wrong_windows(arguments, message):
    with pytest.raises(ValueError, match=message):
        window_ranges(*arguments)


def test_frame_scores_are_means_over_windows():
    for num_frames, window, stride, rng in random_cases(50):
        ranges = window_ranges(num_frames, window, stride)
        scores = rng.dirichlet(np.ones(4), len(ranges))
        expected = [np.mean([score for (start, end), score in zip(ranges, scores)
                             if start <= frame <= end], axis=0) for frame in range(num_frames)]
        assert frame_scores(ranges, scores) == pytest.approx(np.array(expected))


def test_segments_by_hand():
    scores = np.array([[.9, .1], [.8, .2], [.4, .45], [.7, .3], [.2, .8], [.3, .7], [.5, .4]])
    assert merge_segments(scores, .5) == [
        Segment(0, 1, 0, pytest.approx(.85)), Segment(3, 3, 0, .7),
        Segment(4, 5, 1, pytest.approx(.75)), Segment(6, 6, 0, .5)]
    assert merge_segments(scores, .5, max_gap=1) == [
        Segment(0, 3, 0, pytest.approx(.7)), Segment(4, 5, 1, pytest.approx(.75)),
        Segment(6, 6, 0, .5)]
    assert merge_segments(scores, .95) == []


def test_segments_by_property():
    rng = np.random.default_rng(1)
    for _ in range(200):
        scores = rng.dirichlet(np.ones(3), int(rng.integers(1, 60)))
        threshold, gap = rng.uniform(.3, .9), int(rng.integers(0, 4))
        segments = merge_segments(scores, threshold, gap)
        above = {frame: score.argmax() for frame, score in enumerate(scores)
                 if score.max() >= threshold}
        inside = {frame: s.label for s in segments for frame in range(s.start, s.end + 1)}
        assert sum(s.end - s.start + 1 for s in segments) == len(inside)  # no overlap
        assert above.items() <= inside.items()
        for one, other in zip(segments, segments[1:]):
            assert one.label != other.label or other.start - one.end - 1 > gap
        for s in segments:
            assert {s.start, s.end} <= set(above)
            assert s.score == pytest.approx(scores[s.start:s.end + 1, s.label].mean())

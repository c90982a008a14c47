"""Segments from window scores, and the rule that a hold-out part chooses."""
import pickle
import re

import cv2
import numpy as np
import pytest
import torch
from running import run_tool

from gaie_mmaction.datasets.annotations import Segment, write_annotations
from gaie_mmaction.datasets.segment_file import read_segments, write_segments
from gaie_mmaction.evaluation import spotting_f1
from gaie_mmaction.evaluation.window_spotting import (
    SegmentRule,
    fit_rule,
    load_rule,
    read_frame_scores,
    save_rule,
    spot,
)
from gaie_mmaction.visualization.timeline import draw_timeline


def test_stretches_merging_and_lengths():
    scores = np.zeros((30, 2))
    scores[2:8, 0] = scores[10:14, 0] = .8
    scores[20:22, 0], scores[3:7, 1] = .9, .5
    rule = SegmentRule((.6, .4), max_gap=2, min_length=3, sigma=1e6)
    assert sorted(spot(dict(a=scores), rule)) == [
        ('a', 2, 13, 0, pytest.approx(.8 * 10 / 12)), ('a', 3, 6, 1, pytest.approx(.5))]
    # not merged; suppressed by exp(-(4 / 6)² / 0.1)
    rule = SegmentRule((.6, .4), max_gap=1, min_length=1, sigma=.1)
    found = {segment[:4]: segment[4] for segment in spot(dict(a=scores), rule)}
    assert found == pytest.approx({('a', 20, 21, 0): .9, ('a', 2, 7, 0): .8, ('a', 10, 13, 0): .8,
                                   ('a', 3, 6, 1): .5 * np.exp(-(4 / 6)**2 / .1)})
    rule = SegmentRule((.6, .4), 1, 1, .1, min_score=.85)
    assert [segment[1] for segment in spot(dict(a=scores), rule)] == [20]


def make_video(rng, frames=400):
    """Noisy frame scores of two classes; the second one has lower scores."""
    scores, true, start = rng.uniform(0, .3, (frames, 2)), [], 10
    while start + 40 < frames:
        length, label = int(rng.integers(15, 30)), int(rng.integers(2))
        scores[start:start + length, label] = rng.uniform(.75, .9) - .35 * label
        true.append((start, start + length - 1, label))
        start += length + int(rng.integers(15, 40))
    return scores, true


def test_fit(tmp_path):
    rng = np.random.default_rng(0)
    videos = {name: make_video(rng) for name in 'abcd'}
    scores = {name: found for name, (found, _) in videos.items()}
    true = [(name, *segment) for name, (_, segments) in videos.items() for segment in segments]
    held_out = {name: scores[name] for name in 'ab'}
    rule = fit_rule(held_out, [segment for segment in true if segment[0] in 'ab'])
    found = spot({name: scores[name] for name in 'cd'}, rule)
    assert spotting_f1(found, [segment for segment in true if segment[0] in 'cd'])['f1'] > .95
    save_rule(tmp_path / 'rule.json', rule)
    assert load_rule(tmp_path / 'rule.json') == rule
    with pytest.raises(ValueError, match='no true segment'):
        fit_rule(held_out, [])
    for text in ('no', '[]', '{}', '{"thresholds": [0.5], "max_gap": 1}'):
        (tmp_path / 'rule.json').write_text(text)
        with pytest.raises(ValueError, match='rule.json is not a rule .* give the OUT.rule.json'):
            load_rule(tmp_path / 'rule.json')


def write_part(folder, name, seed):
    """Windows of 8 frames, 4 apart; the last score is of background."""
    scores, true = make_video(np.random.default_rng(seed), 402)
    windows, samples = [], []
    for start in [*range(0, 394, 4), 394]:
        window = Segment(f'{name}_w{start}', f'x/{name}.mp4', start, start + 7, -1)
        own = scores[start:start + 8].mean(axis=0)
        windows.append(window)
        samples.append(dict(clip_id=window.clip_id, gt_label=torch.tensor([-1]),
                            pred_score=torch.tensor([*own, 1 - own.max()])))
    write_annotations(folder / name, windows)
    (folder / f'{name}.pkl').write_bytes(pickle.dumps(samples))
    write_segments(folder / f'{name}_true.csv', [(name, *segment) for segment in true])
    return windows, samples


def test_tool(tmp_path):
    windows, samples = write_part(tmp_path, 'one', 1)
    write_part(tmp_path, 'two', 2)
    frame_scores = read_frame_scores(tmp_path / 'one.csv', tmp_path / 'one.pkl')['one']
    for frame in (0, 5, 200, 401):
        own = [sample['pred_score'][:2].numpy() for window, sample in zip(windows, samples)
               if window.start_frame <= frame <= window.end_frame]
        assert frame_scores[frame] == pytest.approx(np.mean(own, axis=0))
    write_annotations(tmp_path / 'gap', [*windows[:3], *windows[5:]])
    for name, frame in (('gap.csv', 16), ('gap.txt', 0)):  # a clip list has no frame numbers
        with pytest.raises(ValueError, match=f'{name}: no window covers frame {frame}; give PART'):
            read_frame_scores(tmp_path / name, tmp_path / 'one.pkl')
    code, output = run_tool(
        'spot_windows.py', tmp_path / 'two.csv', tmp_path / 'two.pkl', '--fit',
        *(tmp_path / f'one{ending}' for ending in ('.csv', '.pkl', '_true.csv')),
        '--true', tmp_path / 'two_true.csv', '--out', tmp_path / 'out.csv')
    assert code is None and 'this part: F1' in output
    found, true = read_segments(tmp_path / 'out.csv'), read_segments(tmp_path / 'two_true.csv')
    f1 = spotting_f1(found, true)['f1']
    assert f1 > .9 and f'this part: F1 {f1:.3f}' in output
    code, _ = run_tool('spot_windows.py', tmp_path / 'two.csv', tmp_path / 'one.pkl', '--fit',
                       *(tmp_path / f'one{ending}' for ending in ('.csv', '.pkl', '_true.csv')))
    assert 'one.pkl has no scores of 100 of 100 windows' in code
    # true segments of other videos or classes would be counted as missed
    for option, row, said in (('--fit', 'three,0,9,1', 'wrong.csv: video three of segment'),
                              ('--true', 'two,0,9,57', 'wrong.csv, line 2 .*a class in 0..1'),
                              ('--true', 'two,0,402,1', 'ends outside its video')):
        (tmp_path / 'wrong.csv').write_text(f'video_id,start_frame,end_frame,class\n{row}\n')
        fit = 'wrong.csv' if option == '--fit' else 'one_true.csv'
        code, _ = run_tool(
            'spot_windows.py', tmp_path / 'two.csv', tmp_path / 'two.pkl', '--fit',
            tmp_path / 'one.csv', tmp_path / 'one.pkl', tmp_path / fit, '--out',
            tmp_path / 'none.csv', *(('--true', tmp_path / 'wrong.csv') * (option == '--true')))
        assert re.search(said, code) and not (tmp_path / 'none.csv').exists()


@pytest.mark.parametrize('classes', [1, 3])
def test_a_rule_of_other_classes(classes):
    with pytest.raises(ValueError, match=f'the rule is of 2 classes, but the scores of video a are '
                       f'of {classes}'):
        spot(dict(a=np.zeros((9, classes))), SegmentRule((.5, .5), 1, 1, .1))


def test_timeline(tmp_path):
    """Twice as long a segment covers twice as many pixels, but for those of the legend."""
    areas = []
    for length in (40, 80):
        draw_timeline(tmp_path / 'line.png', dict(true=[('a', 0, 9, 1)], found=[
            ('a', 10, 9 + length, 0, 1.)]), 100, ['x', 'y'])
        image = cv2.imread(str(tmp_path / 'line.png'))
        areas.append((image == (180, 119, 31)).all(axis=2).sum())  # the first color of tab20
    assert areas[0] > 5000 and areas[1] / areas[0] == pytest.approx(2, rel=.05)

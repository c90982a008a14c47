"""Spotting F1 against plain loops, its curve, files and errors."""
import csv

import numpy as np
import pytest
import torch
from mmaction.registry import METRICS
from reference.spotting_loops import count_hits, count_kit_hits

from gaie_mmaction.evaluation import (
    best_threshold,
    f1_curve,
    f1_per_class,
    mean_average_precision,
    spotting_f1,
)


def random_segments(rng, number, scored, videos=3, classes=3, frames=60, longest=25):
    starts = rng.integers(0, frames, number)
    return [(f'{rng.integers(videos):04d}', int(start), int(start + rng.integers(0, longest)),
             int(rng.integers(classes)), *([float(rng.integers(10)) / 10] * scored))
            for start in starts]


def random_case(seed):
    rng = np.random.default_rng(seed)
    true = random_segments(rng, rng.integers(0, 12), False)
    predicted = random_segments(rng, rng.integers(0, 16), True)
    predicted += [(*segment, .5) for segment in true[::3]]  # some that are exactly right
    return predicted, true, float(rng.choice([0., .1, .3, .5, .75]))


def test_equals_plain_loops():
    different = 0
    for seed in range(3000):
        predicted, true, limit = random_case(seed)
        hits = count_hits(predicted, true, limit)
        precision, recall = hits / max(len(predicted), 1), hits / max(len(true), 1)
        expected = 2 * precision * recall / (precision + recall) if hits else 0
        assert spotting_f1(predicted, true, limit) == pytest.approx(
            dict(precision=precision, recall=recall, f1=expected, hits=hits))
        kit_hits = count_kit_hits(predicted, true, limit)
        precision, recall = kit_hits / max(len(predicted), 1), kit_hits / max(len(true), 1)
        assert spotting_f1(predicted, true, limit, kit=True) == pytest.approx(
            dict(precision=precision, recall=recall, hits=kit_hits,
                 f1=2 * precision * recall / (precision + recall + 1e-7)))
        different += kit_hits != hits
    assert different > 100


def test_one_prediction_for_two_segments():
    """The kit counts it twice."""
    true = [('1', 0, 49, 2), ('1', 50, 99, 2)]
    found = [('1', 0, 99, 2, .9)]
    assert spotting_f1(found, true) == pytest.approx(
        dict(precision=1, recall=.5, f1=2 / 3, hits=1))
    kit = spotting_f1(found, true, kit=True)
    assert (kit['precision'], kit['recall'], kit['hits']) == (2, 1, 2)


@pytest.mark.parametrize('end, hit', [(30, 0), (31, 1)])
def test_overlap_must_be_above(end, hit):
    assert spotting_f1([('1', 0, end, 0)], [('1', 0, 100, 0)])['hits'] == hit


def test_the_higher_score_chooses_first():
    """It takes the better of two, which leaves the other for a worse one."""
    true = [('1', 0, 20, 0), ('1', 10, 30, 0)]
    assert spotting_f1([('1', 2, 21, 0, .2), ('1', 0, 20, 0, .9)], true, .3)['hits'] == 2
    assert spotting_f1([('1', 0, 20, 0, .9), ('1', 0, 20, 0, .8)], true, .5)['hits'] == 1


def test_perfect_random_and_empty():
    rng = np.random.default_rng(0)
    true = random_segments(rng, 300, False, videos=500, frames=1000)
    assert spotting_f1(true, true)['f1'] == 1
    shuffled = [(*segment[:3], (segment[3] + rng.integers(3)) % 3) for segment in true]
    assert spotting_f1(shuffled, true)['f1'] == pytest.approx(1 / 3, abs=.08)
    assert spotting_f1([], true) == dict(precision=0, recall=0, f1=0, hits=0)
    assert spotting_f1([], [], kit=True)['f1'] == 0
    assert best_threshold([], true) == (float('inf'), 0)


def test_curve_is_f1_of_what_is_kept():
    for seed in range(200):
        predicted, true, limit = random_case(seed)
        thresholds, curve = f1_curve(predicted, true, limit)
        assert list(thresholds) == sorted({segment[4] for segment in predicted}, reverse=True)
        for threshold, f1 in zip(thresholds, curve):
            kept = [segment for segment in predicted if segment[4] >= threshold]
            assert f1 == pytest.approx(spotting_f1(kept, true, limit)['f1'])
        if len(curve):
            threshold, f1 = best_threshold(predicted, true, limit)
            assert f1 == max(curve) and threshold == thresholds[list(curve).index(f1)]


def test_per_class():
    predicted, true, limit = random_case(7)
    parts = f1_per_class(predicted, true, limit)
    assert sum(part['hits'] for part in parts.values()) == spotting_f1(
        predicted, true, limit)['hits']


def test_mean_average_precision():
    true = [('1', 0, 9, 0), ('1', 20, 29, 0), ('2', 0, 9, 1)]
    found = [(*segment, .9) for segment in true]
    assert mean_average_precision(found, true)[.9] == pytest.approx(1)
    # the IoU of 10 and 5 frames is 1/2 exactly
    found[2] = ('2', 0, 4, 1, .9)
    precision = mean_average_precision(found, true)
    assert (precision[.5], precision[.6]) == pytest.approx((1, .5))
    assert list(precision) == [.1, .2, .3, .4, .5, .6, .7, .8, .9]


@pytest.mark.parametrize('segment', [('1', 5, 4, 0), ('1', -1, 4, 0), ('1', 0, 4),
                                     ('1', 0, 4, 0, float('nan'))])
def test_wrong_segments(segment):
    for kit in (False, True):
        with pytest.raises(ValueError, match='a segment is'):
            spotting_f1([segment], [], kit=kit)


def evaluate(predicted, true, **options):
    metric = METRICS.build(dict(type='SpottingF1', **options))
    metric.dataset_meta = dict(classes=['a', 'b', 'c'])
    videos = sorted({segment[0] for segment in predicted + (true or [])})
    for video in videos:
        parts = [[segment for segment in part or [] if segment[0] == video]
                 for part in (predicted, true)]
        samples = [dict(segments=torch.tensor([s[1:3] for s in part]).reshape(-1, 2),
                        labels=torch.tensor([s[3] for s in part])) for part in parts]
        samples[0]['scores'] = torch.tensor([s[4] for s in parts[0]], dtype=torch.float64)
        metric.process(None, [dict(video_name=video, pred_segments=samples[0], **(
            {} if true is None else dict(gt_instances=samples[1])))])
    return metric.evaluate(len(videos))


def test_metric(tmp_path):
    predicted, true, _ = random_case(3)
    found = evaluate(predicted, true, threshold=.5, out_file=str(tmp_path / 'segments.csv'),
                     out_dir=str(tmp_path))
    kept = [segment for segment in predicted if segment[4] >= .5]
    assert found['spotting/f1'] == spotting_f1(kept, true)['f1'] > 0
    assert found['spotting/kit_f1'] == spotting_f1(kept, true, kit=True)['f1']
    assert found['spotting/best_f1'] == best_threshold(predicted, true)[1]
    assert found['spotting/mAP@0.3'] == mean_average_precision(predicted, true)[.3]
    rows = list(csv.DictReader(open(tmp_path / 'segments.csv')))
    assert {(row['video_id'], int(row['start_frame']), int(row['end_frame']), int(row['class']),
             float(row['score'])) for row in rows} == set(predicted)
    per_class = {row['class']: int(row['hits'])
                 for row in csv.DictReader(open(tmp_path / 'f1_per_class.csv'))}
    assert sum(per_class.values()) == spotting_f1(kept, true)['hits'] and 'a' in per_class
    assert evaluate(predicted, None) == evaluate(predicted, []) == {}

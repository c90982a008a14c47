"""F1_mean of Micro-Action-52 against plain loops."""
import numpy as np
import pytest
import torch
from mmaction.registry import METRICS

from gaie_mmaction.datasets.ma52_classes import BODY_PART_OF_ACTION, MA52_ACTIONS
from gaie_mmaction.evaluation import micro_action_f1

FIRST_ACTIONS = (0, 5, 11, 24, 32, 38, 48)  # of the seven parts


def plain_f1(predicted, true, classes):
    f1, correct = [], sum(p == t for p, t in zip(predicted, true))
    for label in range(classes):
        hits = sum(p == t == label for p, t in zip(predicted, true))
        total = sum(p == label for p in predicted) + sum(t == label for t in true)
        if total:
            f1.append(2 * hits / total)
    return correct / len(true), sum(f1) / len(f1)


def to_part(label):
    return max(part for part, first in enumerate(FIRST_ACTIONS) if label >= first)


def test_equals_plain_loops():
    rng = np.random.default_rng(0)
    for _ in range(30):
        true = rng.integers(0, 52, rng.integers(1, 200))
        predicted = np.where(rng.random(len(true)) < .6, true, rng.integers(0, 52, len(true)))
        micro, macro = plain_f1(predicted, true, 52)
        body = plain_f1(list(map(to_part, predicted)), list(map(to_part, true)), 7)
        assert micro_action_f1(predicted, true) == pytest.approx(dict(
            action_micro=micro, action_macro=macro, body_micro=body[0], body_macro=body[1],
            f1_mean=(micro + macro + sum(body)) / 4))


def test_classes():
    assert len(set(MA52_ACTIONS)) == 52
    assert BODY_PART_OF_ACTION == tuple(map(to_part, range(52)))


def test_scores_that_are_not_finite():
    """NaN would count as class 0."""
    metric = METRICS.build(dict(type='MicroActionF1'))
    for value in (float('nan'), .5, float('inf')):
        metric.process(None, [dict(pred_score=torch.full((52, ), value), gt_label=0)])
    with pytest.raises(ValueError, match='the scores of 2 of 3 clips are not finite'):
        metric.evaluate(3)


def test_metric():
    metric = METRICS.build(dict(type='MicroActionF1'))
    scores = torch.full((3, 52), .01)
    scores[0, 40] = scores[1, 6] = scores[2, 0] = .3
    scores[1, 7] = .2
    scores[2, 49:52] = .2  # the best action is of the body, the best part is leg-hand
    for row, label in zip(scores, (40, 7, 50)):
        metric.process(None, [dict(pred_score=row, gt_label=torch.tensor([label]))])
    found = metric.evaluate(3)
    expected = micro_action_f1([40, 6, 0], [40, 7, 50])
    assert {f'ma52/{key}': value for key, value in expected.items()}.items() <= found.items()
    assert found['ma52/action_top1'] == pytest.approx(1 / 3)
    assert found['ma52/action_top5'] == found['ma52/body_top1'] == 1
    metric.process(None, [dict(pred_score=scores[0, :3], gt_label=0)])
    with pytest.raises(ValueError, match=r'52 classes, but clips have scores of shape \(3,\)'):
        metric.evaluate(1)


@pytest.mark.parametrize('predicted, true', [([52], [0]), ([0], [-1]), ([0, 1], [0]), ([], [])])
def test_wrong_labels(predicted, true):
    with pytest.raises(ValueError, match='labels'):
        micro_action_f1(predicted, true)

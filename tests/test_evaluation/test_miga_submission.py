"""The leaderboard's metric and its file."""
import numpy as np
import pytest
import torch
from mmaction.evaluation import AccMetric
from mmaction.registry import METRICS
from mmaction.structures import ActionDataSample

from gaie_mmaction.evaluation import accuracy


def make_samples(ids, scores, labels):
    samples = []
    for clip_id, score, label in zip(ids, scores, labels):
        sample = ActionDataSample(metainfo=dict(clip_id=clip_id))
        sample.set_gt_label(int(label)).set_pred_score(torch.from_numpy(score))
        samples.append(sample.to_dict())
    return samples


def evaluate(ids, scores, labels, **arguments):
    metric = METRICS.build(dict(type='MiGASubmission', **arguments))
    metric.process(None, make_samples(ids, scores, labels))
    return metric.evaluate(len(ids))


def random_case(clips=60, classes=8):
    rng = np.random.default_rng(1)
    scores = rng.random((clips, classes)).astype(np.float32)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, clips - classes)])
    return [f'{k // 7:04d}_{k % 7}' for k in range(clips)], scores, labels


def test_equals_the_hosts_metric():
    ids, scores, labels = random_case()
    host = AccMetric()
    host.process(None, make_samples(ids, scores, labels))
    assert evaluate(ids, scores, labels) == pytest.approx(host.evaluate(len(ids)))


def test_by_hand():
    scores = np.eye(6)[[0, 0, 1, 5]]
    values = accuracy(scores, np.array([0, 1, 1, 2]))
    assert values == pytest.approx(dict(top1=.5, top5=1., mean1=(1 + .5 + 0) / 3))
    # ties: the lower class wins
    assert accuracy(np.ones((1, 6)), np.array([5]))['top5'] == 0


def test_file(tmp_path):
    out = tmp_path / 'new' / 'prediction.csv'
    ids = ['0010_2', '0002_10', '0010_10', '0002_9']
    scores = np.eye(32, dtype=np.float32)[[4, 31, 0, 7]]
    assert evaluate(ids, scores, [-1] * 4, out_file=str(out)) == {}
    assert out.read_text() == 'Id,Target\n0002_9,7\n0002_10,31\n0010_2,4\n0010_10,0\n'
    assert [path.name for path in out.parent.iterdir()] == ['prediction.csv']


def test_repeated_clip_leaves_no_file(tmp_path):
    out = tmp_path / 'prediction.csv'
    with pytest.raises(ValueError, match="1 clips occur more than once.*'a_1'"):
        evaluate(['a_1', 'a_2', 'a_1'], np.eye(3), [-1] * 3, out_file=str(out))
    assert list(tmp_path.iterdir()) == []


def test_some_without_label():
    with pytest.raises(ValueError, match='1 of 2 clips have no label'):
        evaluate(['a_1', 'a_2'], np.eye(2), [1, -1])


def test_clip_id_is_needed():
    metric = METRICS.build(dict(type='MiGASubmission'))
    sample = ActionDataSample().set_gt_label(1).set_pred_score(torch.ones(3)).to_dict()
    with pytest.raises(KeyError, match="add 'clip_id' to meta_keys"):
        metric.process(None, [sample])

"""The leaderboard's metric and its file."""
import numpy as np
import pytest
import torch
from mmaction.evaluation import AccMetric
from mmaction.registry import METRICS
from mmaction.structures import ActionDataSample

from gaie_mmaction.evaluation import accuracy, write_submission
from gaie_mmaction.evaluation.miga_submission import submission_order


def make_samples(ids, scores, labels):
    samples = []
    for clip_id, score, label in zip(ids, scores, labels):
        sample = ActionDataSample(metainfo=dict(clip_id=clip_id))
        sample.set_gt_label(int(label)).set_pred_score(torch.from_numpy(score))
        samples.append(sample.to_dict())
    return samples


def evaluate(ids, scores, labels, size=None, **arguments):
    metric = METRICS.build(dict(type='MiGASubmission', **arguments))
    metric.process(None, make_samples(ids, scores, labels))
    return metric.evaluate(len(ids) if size is None else size)


def random_case(clips=60, classes=8):
    rng = np.random.default_rng(1)
    scores = rng.random((clips, classes)).astype(np.float32)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, clips - classes)])
    return [f'{k // 7:04d}_{k % 7}' for k in range(clips)], scores, labels


def test_equals_the_hosts_metric():
    ids, scores, labels = random_case()
    host = AccMetric()
    host.process(None, make_samples(ids, scores, labels))
    values = evaluate(ids, scores, labels)
    assert values == pytest.approx(host.evaluate(len(ids)))
    assert all(type(value) is float for value in values.values())


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


@pytest.mark.parametrize('old', [None, 'Id,Target\na_1,0\n'])
def test_missing_clip_leaves_no_new_file(tmp_path, old):
    out = tmp_path / 'prediction.csv'
    if old:
        out.write_text(old)
    message = 'of 2 clips, but the dataset has 3; nothing was written' + (', and' if old else '$')
    with pytest.raises(ValueError, match=message):
        evaluate(['a_1', 'a_2'], np.eye(2), [-1] * 2, size=3, out_file=str(out))
    assert (out.read_text() if out.exists() else None) == old
    assert len(list(tmp_path.iterdir())) == bool(old)


def test_padding_of_distributed_runs_is_dropped(tmp_path):
    # mmengine repeats clips behind the last one, to give each process as many
    out = tmp_path / 'prediction.csv'
    evaluate(['1_0', '1_1', '1_0'], np.eye(3), [-1] * 3, size=2, out_file=str(out))
    assert out.read_text() == 'Id,Target\n1_0,0\n1_1,1\n'


def test_order():
    ids = ['b', '0010_1', '9_10', 'a_10', '9_2', 'a_2', '_3', '10_0']
    assert sorted(ids, key=submission_order) == [
        '9_2', '9_10', '10_0', '0010_1', '_3', 'a_10', 'a_2', 'b']


def test_failed_write_keeps_the_old_file(tmp_path):
    out = tmp_path / 'prediction.csv'
    out.write_text('old')
    with pytest.raises(ValueError):
        write_submission(str(out), ['1_0', '1_1'], [3, 'no number'])
    assert out.read_text() == 'old'


def test_some_without_label(tmp_path):
    with pytest.raises(ValueError, match='1 of 2 clips have no label'):
        evaluate(['a_1', 'a_2'], np.eye(2), [1, -1], out_file=str(tmp_path / 'prediction.csv'))
    assert list(tmp_path.iterdir()) == []


def test_clip_id_is_needed():
    metric = METRICS.build(dict(type='MiGASubmission'))
    sample = ActionDataSample().set_gt_label(1).set_pred_score(torch.ones(3)).to_dict()
    with pytest.raises(KeyError, match="add 'clip_id' to meta_keys"):
        metric.process(None, [sample])

"""The leaderboard's metric."""
import zipfile

import mmengine.dataset.sampler
import mmengine.dist.dist
import mmengine.evaluator.metric
import numpy as np
import pytest
import torch
from evaluating import evaluate, full_disk, make_dataset, make_samples
from mmaction.evaluation import AccMetric
from mmaction.registry import METRICS
from mmaction.structures import ActionDataSample
from mmengine.dataset import DefaultSampler
from mmengine.logging import MMLogger

from gaie_mmaction.datasets import IMiGUEDataset
from gaie_mmaction.evaluation import accuracy


def build(**arguments):
    return METRICS.build(dict(type='MiGASubmission', **arguments))


def test_equals_mmaction2s_metric():
    rng = np.random.default_rng(1)
    ids, scores = [f'{k // 7:04d}_{k % 7}' for k in range(60)], rng.random((60, 8), np.float32)
    labels = np.concatenate([np.arange(8), rng.integers(0, 8, 52)])
    upstream = AccMetric()
    upstream.process(None, make_samples(ids, scores, labels))
    values = evaluate(ids, scores, labels)
    assert values == pytest.approx(upstream.evaluate(len(ids)))
    assert all(type(value) is float for value in values.values())


def test_by_hand():
    values = accuracy(np.eye(6)[[0, 0, 1, 5]], np.array([0, 1, 1, 2]))
    assert values == pytest.approx(dict(top1=.5, top5=1., mean1=(1 + .5 + 0) / 3))
    # ties: the lower class wins
    assert accuracy(np.ones((1, 6)), np.array([5]))['top5'] == 0


def test_file(tmp_path):
    ids = ['0010_2', '0002_10', '0010_10', '0002_9']
    scores = np.eye(32, dtype=np.float32)[[4, 31, 0, 7]]
    rows = '0002_9,7\n0002_10,31\n0010_2,4\n0010_10,0\n'
    out = tmp_path / 'new' / 'prediction.csv'
    assert evaluate(ids, scores, [-1] * 4, out_file=str(out)) == {}
    assert out.read_text() == 'Id,Target\n' + rows
    assert [path.name for path in out.parent.iterdir()] == ['prediction.csv']
    for format in ('2023', 2023):  # --cfg-options gives a number
        out = tmp_path / 'Submission.zip'
        evaluate(ids, scores, [-1] * 4, out_file=str(out), format=format)
        with zipfile.ZipFile(out) as archive:
            assert archive.namelist() == ['Submission.csv']
            assert archive.read('Submission.csv').decode() == rows


@pytest.mark.parametrize('num_clips, world', [(7, 2), (8, 2), (9, 4), (5, 3), (2, 4), (1, 1)])
@pytest.mark.parametrize('labelled', [True, False])
def test_several_processes(tmp_path, monkeypatch, num_clips, world, labelled):
    """mmengine's own sampler and gathering, the processes one after another."""
    dataset = make_dataset(tmp_path, num_clips)
    rng = np.random.default_rng(num_clips)
    scores = rng.random((num_clips, 32), np.float32)
    labels = rng.integers(0, 32, num_clips) if labelled else np.full(num_clips, -1)
    ids = [dataset.get_data_info(k)['clip_id'] for k in range(num_clips)]
    expected = evaluate(ids, scores, labels, meta=dataset.metainfo,
                        out_file=str(tmp_path / 'one.csv'))
    values, processed = [], 0
    for rank in reversed(range(world)):  # the main process gathers, when all others are done
        for module in (mmengine.dist.dist, mmengine.dataset.sampler):
            monkeypatch.setattr(module, 'get_dist_info', lambda rank=rank: (rank, world))
        monkeypatch.setattr(
            mmengine.evaluator.metric, 'is_main_process', lambda rank=rank: rank == 0)
        mine = list(DefaultSampler(dataset, shuffle=False, seed=0))
        processed += len(mine)
        metric = build(out_file=str(tmp_path / 'several.csv'))
        metric.dataset_meta, metric.collect_dir = dataset.metainfo, str(tmp_path / 'parts')
        metric.process(None, make_samples(np.take(ids, mine).tolist(), scores[mine], labels[mine]))
        values.append(metric.evaluate(len(dataset)))
    assert processed == -(-num_clips // world) * world  # so that some clips came twice
    assert values == [None] * (world - 1) + [expected]
    assert (tmp_path / 'several.csv').read_bytes() == (tmp_path / 'one.csv').read_bytes()


@pytest.mark.parametrize('change, message', [
    (dict(indices=9), r'3 of 12 clips of .*test.csv have no prediction, e.g. 0054_9; 0054_10; '),
    (dict(ids={3: '0055_0', 5: 'x'}), r'2 clips are not in .*test.csv, e.g. 0055_0; x; nothing'),
    (dict(ids={3: '0054_4'}), r'1 clips occur more than once, e.g. 0054_4; nothing'),
    (dict(labels={7: 31}), r'11 of 12 clips have no label'),
    (dict(classes=33), r'model has 33 classes, but the dataset 32: set model.cls_head.num_classes'),
    (dict(nan=4), r'scores of 1 clips are not finite, e.g. 0054_4'),
    (dict(size=13), 'predictions of 12 clips, but the dataset has 13'),
])
@pytest.mark.parametrize('format, name', [('2025', 'prediction.csv'), ('2025', 'prediction.zip'),
                                          ('2023', 'Submission.zip')])
@pytest.mark.parametrize('old', [None, b'old'])
def test_defects(tmp_path, change, message, format, name, old):
    dataset = make_dataset(tmp_path, 12, indices=change.get('indices'))
    ids = [dataset.get_data_info(k)['clip_id'] for k in range(len(dataset))]
    scores, labels = np.eye(change.get('classes', 32))[:len(ids)], np.full(len(ids), -1)
    for k, clip_id in change.get('ids', {}).items():
        ids[k] = clip_id
    for k, label in change.get('labels', {}).items():
        labels[k] = label
    if 'nan' in change:
        scores[change['nan'], 20] = np.nan
    out = tmp_path / 'out' / name
    if old:
        out.parent.mkdir()
        out.write_bytes(old)
    with pytest.raises(ValueError, match=message) as error:
        evaluate(ids, scores, labels, meta=dataset.metainfo, format=format, out_file=str(out),
                 size=change.get('size'))
    assert str(error.value).endswith(
        f'nothing was written, and {out} is left from an earlier run' if old else
        'nothing was written')
    assert [path.read_bytes() for path in out.parent.glob('*')] == ([old] if old else [])


def test_labelled_piece_is_evaluated_but_not_submitted(tmp_path, caplog, request):
    dataset, out = make_dataset(tmp_path, 12, indices=[2, 5]), tmp_path / 'prediction.csv'
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    request.addfinalizer(lambda: logger.removeHandler(caplog.handler))
    values = evaluate(['0054_2', '0054_5'], np.eye(32)[:2], [0, 7], meta=dataset.metainfo,
                      out_file=str(out))
    assert values == pytest.approx({'acc/top1': .5, 'acc/top5': .5, 'acc/mean1': .5})
    assert not out.exists()
    assert '10 of 12 clips of' in caplog.text and 'nothing was written' in caplog.text
    # of a labelled part too an unknown clip is an error
    with pytest.raises(ValueError, match='1 clips are not in'):
        evaluate(['0054_2', '0060_5'], np.eye(32)[:2], [0, 7], meta=dataset.metainfo,
                 out_file=str(out))


def test_annotation_file_is_named_in_test_mode_alone(tmp_path):
    """Of training it would enter the checkpoints."""
    assert make_dataset(tmp_path, 1).metainfo['ann_file'] == str(tmp_path / 'test.csv')
    assert 'ann_file' not in make_dataset(tmp_path, 1, test_mode=False).metainfo
    assert 'ann_file' not in IMiGUEDataset.METAINFO


@pytest.mark.parametrize('arguments, message', [
    (dict(format='2024'), "one of 2025, 2023, but got '2024'"),
    (dict(format='2023', out_file='prediction.csv'), "2023 must end in .zip, but got 'prediction"),
    (dict(out_file='prediction.txt'), r"2025 must end in .csv or .zip, but got 'prediction.txt'"),
])
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        build(**arguments)


@pytest.mark.parametrize('argument', ['out_file', 'out_dir'])
def test_unwritable_target_is_found_before_the_test(tmp_path, monkeypatch, argument):
    (tmp_path / 'file').write_text('')
    good = {argument: str(tmp_path / 'new' / 'prediction.csv')}
    with pytest.raises(OSError, match=f'{tmp_path}/file is not a folder'):
        build(**{argument: str(tmp_path / 'file' / 'new' / 'prediction.csv')})
    (tmp_path / 'prediction.csv').mkdir()
    with pytest.raises(OSError, match='prediction.csv cannot be written: it is a folder'):
        build(out_file=str(tmp_path / 'prediction.csv'))
    build(**good)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['file', 'prediction.csv']
    monkeypatch.setattr('os.access', lambda folder, mode: False)
    with pytest.raises(OSError, match=f'no permission to write in {tmp_path}'):
        build(**good)


@pytest.mark.parametrize('name', ['prediction.csv', 'prediction.zip'])
def test_full_disk(tmp_path, name):
    out = tmp_path / name
    out.write_text('old')
    ids = [f'{k:04d}_0' for k in range(2000)]
    scores = np.random.default_rng(0).random((2000, 32))
    with full_disk(500), pytest.raises(OSError) as error:
        evaluate(ids, scores, [-1] * 2000, out_file=str(out))
    for part in (f'{out} cannot be written: ', 'an earlier file is intact', '`--dump scores.pkl',
                 'scores.pkl --cfg-options test_evaluator.out_file=FILE`'):
        assert part in str(error.value)
    assert [path.read_text() for path in tmp_path.iterdir()] == ['old']


def test_clips_need_an_id_and_one_view():
    sample = ActionDataSample().set_gt_label(1).set_pred_score(torch.ones(3)).to_dict()
    with pytest.raises(KeyError, match="'clip_id' in meta_keys .* or the metric AccMetric"):
        build().process(None, [sample])
    with pytest.raises(ValueError, match=r"clip 1_0 has scores of shape \(3, 5\).*average_clips="):
        build().process(None, make_samples(['1_0'], np.ones((1, 3, 5)), [1]))

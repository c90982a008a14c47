"""A further data set takes one file, and no change elsewhere."""
import pytest
import torch
from mmaction.registry import DATASETS, METRICS
from mmengine.config import Config

from gaie_mmaction.datasets import get_dataset_info, register_dataset_info

FILE = '''
from gaie_mmaction.datasets import register_dataset_info

register_dataset_info('waves', classes=['left wave', 'right wave', 'nod'],
                      groups=dict(hand=[0, 1], head=[2]))
'''
CONFIG = '''
custom_imports = dict(imports=['waves_data'], allow_failed_imports=False)
dataset = dict(type='IMiGUEDataset', ann_file='list.txt', pipeline=[],
               metainfo=dict(dataset='waves'), test_mode=True)
evaluator = dict(type='MicroActionF1')
'''


def test_third_data_set(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, text in (('waves_data.py', FILE), ('config.py', CONFIG),
                       ('list.txt', 'a.mp4 0\nb.mp4 1\nc.mp4 2\n')):
        (tmp_path / name).write_text(text)
    cfg = Config.fromfile(tmp_path / 'config.py')
    dataset, metric = DATASETS.build(cfg.dataset), METRICS.build(cfg.evaluator)
    assert dataset.metainfo['classes'] == ('left wave', 'right wave', 'nod')
    metric.dataset_meta = dataset.metainfo
    for scores, label in (([.1, .8, .1], 0), ([.1, .8, .1], 1), ([.1, .2, .7], 2)):
        metric.process(None, [dict(pred_score=torch.tensor(scores), gt_label=label)])
    found = metric.evaluate(3)
    assert found['ma52/action_micro'] == pytest.approx(2 / 3)
    assert found['ma52/body_micro'] == found['ma52/body_macro'] == 1
    (tmp_path / 'list.txt').write_text('a.mp4 3\n')
    with pytest.raises(ValueError, match='label must be in 0..2'):
        DATASETS.build(cfg.dataset)


@pytest.mark.parametrize('wrong, message', [
    (dict(classes=['a', 'a']), 'different names'),
    (dict(classes=['a', 'b'], codes=[1]), '2 classes, but 1 codes'),
    (dict(classes=['a', 'b'], groups=dict(x=[0])), 'each of the 2 labels of new must be in one'),
])
def test_wrong_data_sets(wrong, message):
    with pytest.raises(ValueError, match=message):
        register_dataset_info('new', **wrong)
    with pytest.raises(KeyError, match="no data set is registered as 'new', only imigue"):
        get_dataset_info('new')


def test_names_are_unique():
    with pytest.raises(ValueError, match='another data set is registered as ma52'):
        register_dataset_info('ma52', classes=['a'])
    register_dataset_info('imigue', **get_dataset_info('imigue'))  # a module imported twice

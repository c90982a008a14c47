"""Names of the outputs: the checkpoint's, else the config's, else numbers."""
import pytest
from mmaction.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from gaie_mmaction.apis import find_class_names
from gaie_mmaction.datasets import IMIGUE_CLASSES
from gaie_mmaction.synthetic import CAUTION


@pytest.fixture
def cfg(root):
    return Config.fromfile(root / 'configs/gaie_vitb_imigue.py')


def test_the_checkpoint_knows_best(cfg):
    classes = find_class_names(
        dict(dataset_meta=dict(classes=('nod', 'wa\x1bve'), caution=['of', 'drawings\n'])), cfg, 2)
    assert (classes.names, classes.origin) == (('nod', 'wave'), 'the checkpoint')
    assert classes.caution == 'of drawings'


def test_the_config_is_a_guess_that_says_so(cfg):
    classes = find_class_names({}, cfg, 32)
    assert (classes.names, classes.origin) == (IMIGUE_CLASSES, 'the config')
    assert 'does not name its classes' in classes.caution
    cfg.test_dataloader.dataset.metainfo = dict(classes=['a', 'b', 'c'])
    classes = find_class_names(dict(dataset_meta=dict(classes=['x'])), cfg, 3)
    assert classes.names == ('a', 'b', 'c')
    assert 'names 1 classes for 3 outputs' in classes.caution


def test_numbers_where_nobody_knows(cfg):
    classes = find_class_names({}, cfg, 3)
    assert (classes.names, classes.origin) == (('class 0', 'class 1', 'class 2'), 'nobody')


def test_checkpoints_of_the_demo_warn(root, tmp_path):
    init_default_scope('mmaction')
    (tmp_path / 'caution.txt').write_text(CAUTION)  # as the demo puts it beside its data
    cfg = Config.fromfile(root / 'configs/demo/gaie_demo.py')
    dataset = DATASETS.build(dict(cfg.train_dataloader.dataset, data_root=str(tmp_path),
                                  lazy_init=True))
    classes = find_class_names(dict(dataset_meta=dataset.metainfo), cfg, 32)
    assert classes.names == IMIGUE_CLASSES and 'drawings' in classes.caution

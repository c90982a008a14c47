"""Names of the outputs: the checkpoint's, else the config's, else numbers."""
import pytest
import torch
from mmaction.registry import DATASETS
from mmengine.config import Config

from gaie_mmaction.apis import find_class_names, load_weights
from gaie_mmaction.datasets import IMIGUE_CLASSES, MA52_ACTIONS
from gaie_mmaction.synthetic import CAUTION

CHECKPOINT = dict(classes=('nod', 'wa\x1bve'), caution=['of', 'drawings\n'])


@pytest.mark.parametrize('learnt, own, names, origin, caution', [
    (CHECKPOINT, None, ('nod', 'wave'), 'the checkpoint', 'of drawings'),
    (None, None, IMIGUE_CLASSES, 'the config', 'does not name its classes'),
    (dict(classes=['x']), ['a', 'b', 'c'], tuple('abc'), 'the config', '1 classes for 3 outputs'),
    (None, None, ('class 0', 'class 1', 'class 2'), 'nobody', 'nor does the config')])
def test_who_names_the_classes(root, learnt, own, names, origin, caution):
    cfg = Config.fromfile(root / 'configs/gaie_vitb_imigue.py')
    if own:
        cfg.test_dataloader.dataset.metainfo = dict(classes=own)
    found = find_class_names(dict(dataset_meta=learnt), cfg, len(names))
    assert (found.names, found.origin) == (names, origin)
    assert found.caution == caution if learnt is CHECKPOINT else caution in found.caution


def test_names_of_registered_data_and_of_files(root, tmp_path):
    """As the dataset itself reads ``metainfo``, and never iMiGUE's for others."""
    cfg = Config.fromfile(root / 'configs/ma52/gaie_vitb_ma52.py')
    assert find_class_names({}, cfg, 52).names == tuple(MA52_ACTIONS)
    assert find_class_names({}, cfg, 32).origin == 'nobody'
    (tmp_path / 'classes.txt').write_text('nod\nwave\n')
    for name, names, caution in (('classes', ('nod', 'wave'), "the config's"),
                                 ('none', ('class 0', 'class 1'), 'none.txt does not exist')):
        cfg.test_dataloader.dataset.metainfo = dict(classes=str(tmp_path / f'{name}.txt'))
        found = find_class_names({}, cfg, 2)
        assert found.names == names and caution in found.caution


@pytest.mark.parametrize('meta', [None, [], dict(dataset_meta=['nod']), dict(dataset_meta=5),
                                  dict(dataset_meta=dict(caution=None)),
                                  dict(dataset_meta=dict(caution=5, classes='ab'))])
def test_meta_of_any_kind(root, tmp_path, meta):
    """A checkpoint may come from anybody."""
    model = torch.nn.Linear(2, 2)
    torch.save(dict(meta=meta, state_dict=model.state_dict()), tmp_path / 'a.pth')
    loaded = load_weights(model, str(tmp_path / 'a.pth'), 'a.py')
    cfg = Config.fromfile(root / 'configs/gaie_vitb_imigue.py')
    found = find_class_names(loaded, cfg, 32)
    assert found.names == IMIGUE_CLASSES and 'None' not in found.caution
    torch.save(dict(meta=meta, state_dict=[1]), tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='a.pth holds no weights, but a list'):
        load_weights(model, str(tmp_path / 'a.pth'), 'a.py')


@pytest.mark.parametrize('number, reason', [(32, "the config's"), (3, 'numbers only')])
def test_both_cautions(root, number, reason):
    """Of the data, and of names that are not the checkpoint's."""
    cfg = Config.fromfile(root / 'configs/gaie_vitb_imigue.py')
    found = find_class_names(dict(dataset_meta=CHECKPOINT), cfg, number).caution
    assert f'2 classes for {number} outputs' in found and reason in found
    assert found.endswith('. of drawings')


def test_checkpoints_of_the_demo_warn(root, tmp_path):
    (tmp_path / 'caution.txt').write_text(CAUTION)  # as the demo puts it beside its data
    cfg = Config.fromfile(root / 'configs/demo/gaie_demo.py')
    dataset = DATASETS.build(dict(cfg.train_dataloader.dataset, data_root=str(tmp_path),
                                  lazy_init=True))
    classes = find_class_names(dict(dataset_meta=dataset.metainfo), cfg, 32)
    assert classes.names == IMIGUE_CLASSES and 'drawings' in classes.caution

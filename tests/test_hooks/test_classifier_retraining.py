"""Classifier retraining: a new head, and nothing else changes."""
from types import SimpleNamespace

import pytest
import torch
from mmaction.registry import MODELS
from tiny_training import assert_same_weights, make_runner, write_config

from gaie_mmaction.hooks import ClassifierRetraining
from gaie_mmaction.policy import load_checkpoint_safely

RETRAINING = """
custom_hooks = [dict(type='LossLog'), dict(type='ClassifierRetraining')]
"""


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('trained')
    make_runner(write_config(folder), train_cfg__max_epochs=1).train()
    return folder / 'work/epoch_1.pth'


def test_the_head_alone_is_trained(tmp_path, trained, monkeypatch):
    modes = set()
    monkeypatch.setattr(
        ClassifierRetraining, 'after_train_iter', lambda hook, runner, *args, **kwargs: modes.add(
            (runner.model.backbone.training, runner.model.cls_head.training)))
    before = load_checkpoint_safely(str(trained))['state_dict']
    make_runner(write_config(tmp_path / 'crt', RETRAINING), load_from=str(trained)).train()
    after = load_checkpoint_safely(str(tmp_path / 'crt/work/epoch_3.pth'))['state_dict']
    assert before.keys() == after.keys()
    for key, value in before.items():
        assert torch.equal(value, after[key]) != key.startswith('cls_head')
    assert modes == {(False, True)}


def test_the_head_starts_anew(tmp_path, trained):
    """Whatever head the checkpoint has; a learning rate of 0 keeps the new one as it is."""
    heads = []
    for scale in (0., 100.):
        state = load_checkpoint_safely(str(trained))
        for key, value in state['state_dict'].items():
            if key.startswith('cls_head'):
                value.fill_(scale)
        torch.save(state, tmp_path / 'changed.pth')
        make_runner(write_config(tmp_path / f'crt{scale}', RETRAINING),
                    load_from=str(tmp_path / 'changed.pth'),
                    optim_wrapper__optimizer__lr=0., train_cfg__max_epochs=1).train()
        heads.append(load_checkpoint_safely(str(tmp_path / f'crt{scale}/work/epoch_1.pth'))
                     ['state_dict']['cls_head.fc_cls.weight'])
    assert torch.equal(*heads) and 0 < heads[0].std() < .1


def test_heads_whose_config_initializes_start_anew():
    model = torch.nn.Module()
    model.cls_head = MODELS.build(dict(type='GCNHead', num_classes=3, in_channels=64))
    model.cls_head.init_weights()
    model.cls_head.fc.weight.data.fill_(100.)
    ClassifierRetraining().before_train(
        SimpleNamespace(iter=0, cfg=dict(load_from='a.pth'), model=model))
    assert 0 < model.cls_head.fc.weight.std() < .03  # of init_cfg .01, of a new layer .07


def test_an_interrupted_run_goes_on_with_its_head(tmp_path, trained):
    for name, epochs in (('whole', (2, )), ('parts', (1, 2))):
        config = write_config(tmp_path / name, RETRAINING)
        for number in epochs:  # the schedule is that of three epochs in either case
            resume = number > epochs[0]  # --resume forgets load_from
            make_runner(config, load_from=None if resume else str(trained), resume=resume,
                        train_cfg__max_epochs=number).train()
    assert_same_weights(tmp_path / 'parts/work', tmp_path / 'whole/work', 'epoch_2.pth',
                        ('state_dict', ))


def test_bad_input(tmp_path, trained):
    config = write_config(tmp_path / 'crt', RETRAINING)
    with pytest.raises(ValueError, match='needs the trained network.*load_from=CHECKPOINT'):
        make_runner(config).train()
    state = load_checkpoint_safely(str(trained))
    del state['state_dict']['backbone.blocks.1.norm1.weight']
    torch.save(state, tmp_path / 'cut.pth')
    with pytest.raises(ValueError, match='(?s)does not fit.*missing: backbone.blocks.1.norm1.wei'):
        make_runner(write_config(tmp_path / 'cut', RETRAINING),
                    load_from=str(tmp_path / 'cut.pth')).train()

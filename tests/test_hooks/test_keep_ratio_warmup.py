"""The warm-up of the token keep ratio."""
from types import SimpleNamespace

import pytest
import torch
from mmaction.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

from gaie_mmaction.models import DiffRateNeck, GAIENeck, ToMeNeck


def make_runner(module, max_epochs):
    logger = SimpleNamespace(said=[])
    logger.warning = logger.said.append
    return SimpleNamespace(model=torch.nn.Sequential(module), epoch=0, max_epochs=max_epochs,
                           train_loop=EpochBasedTrainLoop.__new__(EpochBasedTrainLoop),
                           logger=logger)


def test_linear_and_independent_of_the_past():
    neck = GAIENeck(.7)
    hook = HOOKS.build(dict(type='TokenKeepRatioWarmupHook', begin=2, end=5))
    runner = make_runner(neck, max_epochs=6)
    hook.before_train(runner)
    ratios = []
    for runner.epoch in (0, 2, 3, 4, 5, 9, 3):
        hook.before_train_epoch(runner)
        ratios.append(neck.token_keep_ratio)
    assert ratios == pytest.approx([1, 1, .9, .8, .7, .7, .9])


@pytest.mark.parametrize('arguments', [dict(end=0), dict(begin=3, end=3), dict(begin=-1, end=2)])
def test_wrong_epochs(arguments):
    with pytest.raises(ValueError, match='0 <= begin < end'):
        HOOKS.build(dict(type='TokenKeepRatioWarmupHook', **arguments))


@pytest.mark.parametrize('module, message', [
    (torch.nn.Linear(1, 1), 'no token reducer'),
    (ToMeNeck(r=3), 'ToMeNeck of this .* no token_keep_ratio'),
    (DiffRateNeck(), 'DiffRateNeck of this .* no token_keep_ratio')])
def test_needs_a_reducer_with_a_ratio(module, message):
    hook = HOOKS.build(dict(type='TokenKeepRatioWarmupHook', end=2))
    with pytest.raises(ValueError, match=message):
        hook.before_train(make_runner(module, max_epochs=3))


@pytest.mark.parametrize('max_epochs, said', [(6, 0), (5, 1)])
def test_a_training_that_ends_too_early(max_epochs, said):
    """Epoch 5, from 0, is the first with the neck's own ratio."""
    runner = make_runner(GAIENeck(.7), max_epochs)
    HOOKS.build(dict(type='TokenKeepRatioWarmupHook', begin=2, end=5)).before_train(runner)
    assert len(runner.logger.said) == said
    assert all('after epoch 4' in text and 'in epoch 5' in text for text in runner.logger.said)


def test_needs_epochs():
    runner = make_runner(GAIENeck(.7), 3)
    runner.train_loop = IterBasedTrainLoop.__new__(IterBasedTrainLoop)
    with pytest.raises(ValueError, match='counts epochs, but the training has a IterBasedTrain'):
        HOOKS.build(dict(type='TokenKeepRatioWarmupHook', end=2)).before_train(runner)

"""The warm-up of the token keep ratio."""
from types import SimpleNamespace

import pytest
import torch
from mmaction.registry import HOOKS

from gaie_mmaction.models import DiffRateNeck, GAIENeck, ToMeNeck


def test_linear_and_independent_of_the_past():
    neck = GAIENeck(.7)
    hook = HOOKS.build(dict(type='TokenKeepRatioWarmupHook', begin=2, end=5))
    runner = SimpleNamespace(model=torch.nn.Sequential(neck), epoch=0)
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
        hook.before_train(SimpleNamespace(model=torch.nn.Sequential(module)))

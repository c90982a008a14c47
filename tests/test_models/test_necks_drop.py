"""The controls that do not look at the tokens, and pruning beside merging."""
from dataclasses import replace

import pytest
import torch

from gaie_mmaction.models import GAIENeck, PruneNeck, RandomDropNeck, TokenState, UniformDropNeck


def test_random_in_training_fixed_in_testing():
    neck, state = RandomDropNeck(.5), TokenState.start(torch.zeros(4, 40, 1))
    first, second = neck(state).position, neck(state).position
    assert not torch.equal(first, second) and not torch.equal(first[0], first[1])
    assert first.shape == (4, 20) and (first.diff(dim=1) > 0).all()
    torch.manual_seed(1)
    first = neck(state).position
    torch.manual_seed(1)
    assert torch.equal(neck(state).position, first)
    neck.eval()
    first = neck(state).position
    torch.manual_seed(2)
    assert torch.equal(neck(state).position, first)
    assert torch.equal(first[0].expand_as(first), first)
    assert not torch.equal(RandomDropNeck(.5, seed=1).eval()(state).position, first)


def test_random_is_uniform():
    """Each of 20 tokens stays in half of 4000 draws: 4 standard deviations are 0.032."""
    neck, state = RandomDropNeck(.5), TokenState.start(torch.zeros(4000, 20, 1))
    share = neck(state).position.flatten().bincount(minlength=20) / 4000
    assert (share - .5).abs().max() < .04


@pytest.mark.parametrize('steps', [1, 2, 3])
def test_uniform_is_even_in_space_and_time(steps):
    """Each frame, row and column of the 8x14x14 grid keeps the share of the whole, within 3.5 %."""
    neck, state = UniformDropNeck(.7), TokenState.start(torch.zeros(1, 1568, 1))
    for _ in range(steps):
        state = neck(state)
    grid = torch.zeros(1568)
    grid[state.position[0]] = 1
    grid = grid.view(8, 14, 14)
    for axes in ((1, 2), (0, 2), (0, 1)):
        assert (grid.mean(axes) - grid.mean()).abs().max() < .035


def test_pruning_keeps_what_gaie_keeps():
    """The same tokens at the same places, untouched."""
    state = replace(TokenState.start(torch.randn(2, 30, 4)), importance=torch.rand(2, 30))
    pruned, merged = PruneNeck(.7)(state), GAIENeck(.7)(state)
    assert torch.equal(pruned.position, merged.position)
    assert torch.equal(pruned.x, state.x.gather(1, pruned.position[..., None].expand(-1, -1, 4)))
    assert (pruned.size == 1).all() and not torch.equal(pruned.x, merged.x)


def test_wrong_seed():
    with pytest.raises(ValueError, match='at least 0, but got -1'):
        RandomDropNeck(seed=-1)
    with pytest.raises(TypeError, match='an integer, but got 0.5'):
        RandomDropNeck(seed=.5)

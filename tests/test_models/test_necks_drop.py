"""The controls: which tokens stay."""
import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from reference import reducer_loops

from gaie_mmaction.models import RandomDropNeck, TokenState, UniformDropNeck


def drop_twice(neck, batch, num_tokens, channels=5):
    """States after one and after two reductions, and the first features."""
    x = torch.randn(batch, num_tokens, channels, dtype=torch.float64)
    states = [TokenState.start(x)]
    for _ in range(2):
        states.append(neck(states[-1]))
    return states


@pytest.mark.parametrize('name', ['KeepFirstNeck', 'RandomDropNeck', 'UniformDropNeck'])
@pytest.mark.parametrize('ratio', [.05, .3, .5, .7, 1.])
def test_equals_plain_loops(name, ratio):
    """Features and bookkeeping, from the tokens that each neck chose."""
    rng = np.random.default_rng(0)
    for _ in range(5):
        num_tokens = int(rng.integers(2, 50))
        states = drop_twice(MODELS.build(dict(type=name, token_keep_ratio=ratio)), 3, num_tokens)
        for before, after in zip(states, states[1:]):
            for b in range(3):
                kept = [before.position[b].tolist().index(p) for p in after.position[b].tolist()]
                if name == 'KeepFirstNeck':
                    assert kept == list(range(after.x.shape[1]))
                if name == 'UniformDropNeck':
                    assert kept == reducer_loops.evenly(before.position[b].tolist(), len(kept))
                x, size, where = reducer_loops.drop(before.x[b].numpy(), before.size[b], kept)
                np.testing.assert_array_equal(after.x[b], x)
                assert after.size[b].tolist() == size
                for n in range(num_tokens):
                    owner = before.source[b, n]
                    assert after.source[b, n] == (-1 if owner < 0 else where[owner])


def test_random_in_training_fixed_in_testing():
    neck, state = RandomDropNeck(.5), TokenState.start(torch.zeros(4, 40, 1))
    first, second = neck(state).position, neck(state).position
    assert not torch.equal(first, second) and not torch.equal(first[0], first[1])
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


def test_wrong_seed():
    with pytest.raises(ValueError, match='at least 0, but got -1'):
        RandomDropNeck(seed=-1)
    with pytest.raises(TypeError, match='an integer, but got 0.5'):
        RandomDropNeck(seed=.5)

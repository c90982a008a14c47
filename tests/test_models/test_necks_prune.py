"""Pruning against plain loops, and against the tokens that GAIE keeps."""
from dataclasses import replace

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from reference import gaie_loops, reducer_loops
from reference.neck_checks import assert_equals_loops, clips_of

from gaie_mmaction.models import TokenState


def run(neck, x, importances):
    """States before and after each of the reductions."""
    state, states = TokenState.start(x), []
    for importance in importances:
        before = replace(state, importance=importance)
        state = neck(before)
        states.append((before, state))
    return states


@pytest.mark.parametrize('ratio', ['0.05', '0.3', '0.7', '1.0'])
@pytest.mark.parametrize('ties', [False, True])
def test_equals_plain_loops(ratio, ties):
    rng = np.random.default_rng(0)
    neck = MODELS.build(dict(type='PruneNeck', token_keep_ratio=float(ratio)))
    for _ in range(5):
        num_tokens = int(rng.integers(2, 40))
        numbers = [num_tokens, gaie_loops.num_kept(num_tokens, ratio)]
        x = torch.randn(3, num_tokens, 5, dtype=torch.float64)
        importances = [torch.randint(3, (3, n)).float() if ties else torch.rand(3, n)
                       for n in numbers]
        for before, after in run(neck, x, importances):
            clips = []
            for features, size, importance in clips_of(before, 'importance'):
                num_keep = gaie_loops.num_kept(len(features), ratio)
                kept, _ = gaie_loops.select(importance.tolist(), num_keep)
                clips.append(reducer_loops.drop(features, size, kept))
            assert_equals_loops(before, after, clips)


def test_keeps_what_gaie_keeps():
    """The same tokens at the same places, untouched."""
    x, importance = torch.randn(2, 30, 4), torch.rand(2, 30)
    (_, pruned), (_, merged) = (
        run(MODELS.build(dict(type=name, token_keep_ratio=.7)), x, [importance])[0]
        for name in ('PruneNeck', 'GAIENeck'))
    assert torch.equal(pruned.position, merged.position)
    assert torch.equal(pruned.x, x.gather(1, pruned.position[..., None].expand(-1, -1, 4)))
    assert (pruned.size == 1).all() and not torch.equal(pruned.x, merged.x)

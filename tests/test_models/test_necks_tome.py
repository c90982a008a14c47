"""ToMe's schedules."""
from dataclasses import replace

import pytest
import torch
from small_model import make_vit

from gaie_mmaction.models import TokenState, ToMeNeck


def plan(neck, num_tokens, blocks):
    """Tokens before and after each block of a neck."""
    neck.setup(num_tokens, blocks)
    left = [num_tokens]
    for step in range(blocks):
        left.append(neck.num_left(left[-1], step))
    return left


def test_schedules():
    assert plan(ToMeNeck(.7), 1568, 3) == [1568, 1098, 769, 539]  # as many as GAIE
    assert plan(ToMeNeck(r=65), 1568, 12) == [1568 - 65 * i for i in range(13)]
    left = plan(ToMeNeck(r=5, schedule='decreasing'), 100, 5)
    # 10 to 0 in steps of 2.5, rounded down
    assert [a - b for a, b in zip(left, left[1:])] == [10, 7, 5, 2, 0]
    assert plan(ToMeNeck(r=[3, 0, 9]), 30, 3) == [30, 27, 27, 18]
    assert plan(ToMeNeck(r=6, schedule='decreasing'), 30, 1) == [30, 24]


@pytest.mark.parametrize('arguments, error, message', [
    (dict(), ValueError, 'exactly one.*token_keep_ratio=None and r=None'),
    (dict(r=2, token_keep_ratio=.7), ValueError, 'exactly one.*token_keep_ratio=0.7 and r=2'),
    (dict(token_keep_ratio=.49), ValueError, r'\[0.5, 1\].*got 0.49'),
    (dict(r=-1), ValueError, 'at least 0, but got -1'),
    (dict(r=1.5), TypeError, 'got 1.5'),
    (dict(r='all'), TypeError, "got 'a'"),
    (dict(r=[1, 2, 3]), ValueError, r'2 blocks.*got 3: \(1, 2, 3\)'),
    (dict(r=33), ValueError, 'half of the tokens, 32 of the 64 in the merging block 1.*got 33'),
    (dict(r=25), ValueError, 'half of the tokens, 19 of the 39 in the merging block 2.*got 25'),
    (dict(r=2, schedule='rising'), ValueError, "got 'rising'"),
    (dict(r=[1, 2], schedule='decreasing'), ValueError, r'single r, but got r=\[1, 2\]'),
    (dict(token_keep_ratio=.7, schedule='decreasing'), ValueError, 'single r, but got r=None')])
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        make_vit(dict(type='ToMeNeck', **arguments))


def test_smaller_input_than_built_for():
    with pytest.raises(ValueError, match='16 of the 32.*got 30'):
        make_vit(dict(type='ToMeNeck', r=30), (1, ))(torch.randn(1, 3, 4, 32, 32))


def test_r_needs_a_backbone():
    state = replace(TokenState.start(torch.randn(1, 8, 2)), keys=torch.randn(1, 8, 2))
    with pytest.raises(RuntimeError, match='built as the neck of a backbone'):
        ToMeNeck(r=2)(state)

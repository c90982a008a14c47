"""ToMe against plain loops, and its schedules."""
from dataclasses import replace

import pytest
import torch
from reference import reducer_loops
from reference.neck_checks import assert_equals_loops, clips_of

from gaie_mmaction.models import GAIEVisionTransformer, TokenState, ToMeNeck
from gaie_mmaction.ops import match_bipartite

SIZE = dict(img_size=32, patch_size=8, embed_dims=24, depth=4, num_heads=2, num_frames=8)


def plan(neck, num_tokens, blocks):
    """Tokens before and after each block of a neck."""
    neck.setup(num_tokens, blocks)
    left = [num_tokens]
    for step in range(blocks):
        left.append(neck.num_left(left[-1], step))
    return left


@pytest.mark.parametrize('ratio', [.5, .6, .7, .9, 1.])
@pytest.mark.parametrize('ties', [False, True])
def test_equals_plain_loops(ratio, ties):
    """Two steps over random numbers of tokens; with ties, many exactly equal cosines."""
    neck = ToMeNeck(ratio)
    for num_tokens in (2, 3, 8, 21, 34):
        state = TokenState.start(torch.randn(3, num_tokens, 5, dtype=torch.float64))
        for step in range(2):
            shape = (3, state.x.shape[1], 4)
            keys = torch.randn(shape, dtype=torch.float64)
            if ties:  # norm 2 each, so that a cosine is an exact quarter
                keys = torch.randint(0, 2, shape).double() * 2 - 1
            before = replace(state, keys=keys, step=step)
            state = neck(before)
            number = before.x.shape[1] - neck.num_left(before.x.shape[1], step)
            assert_equals_loops(before, state, [
                reducer_loops.tome(*clip, number) for clip in clips_of(before, 'keys')])


def test_keeps_the_weighted_sum():
    """Over three merges the size-weighted mean of all tokens never moves."""
    neck, x = ToMeNeck(.6), torch.randn(2, 50, 6, dtype=torch.float64)
    state = TokenState.start(x)
    for step in range(3):
        state = neck(replace(state, keys=torch.randn(2, state.x.shape[1], 4), step=step))
        torch.testing.assert_close(
            (state.x * state.size.unsqueeze(-1)).sum(1), x.sum(1), rtol=1e-12, atol=1e-12)


def test_match_properties():
    for num_tokens in range(1, 30):
        metric = torch.randn(2, num_tokens, 3)
        for num_merge in range(num_tokens // 2 + 1):
            keep_idx, merge_idx, dst = match_bipartite(metric, num_merge)
            both = torch.cat([keep_idx, merge_idx], 1).sort(1).values
            assert torch.equal(both, torch.arange(num_tokens).expand_as(both))
            assert (merge_idx % 2 == 0).all() and (keep_idx.gather(1, dst) % 2 == 1).all()


def test_as_many_as_gaie():
    assert plan(ToMeNeck(.7), 1568, 3) == [1568, 1098, 769, 539]


def test_schedules():
    assert plan(ToMeNeck(r=65), 1568, 12) == [1568 - 65 * i for i in range(13)]
    numbers = [10, 7, 5, 2, 0]  # 10 to 0 in steps of 2.5, rounded down
    left = plan(ToMeNeck(r=5, schedule='decreasing'), 100, 5)
    assert [a - b for a, b in zip(left, left[1:])] == numbers
    assert plan(ToMeNeck(r=[3, 0, 9]), 30, 3) == [30, 27, 27, 18]
    assert plan(ToMeNeck(r=6, schedule='decreasing'), 30, 1) == [30, 24]


def test_no_merge_is_the_plain_network():
    clips = torch.randn(2, 3, 8, 32, 32)
    plain = GAIEVisionTransformer(**SIZE).eval()
    model = GAIEVisionTransformer(
        neck=dict(type='ToMeNeck', r=0), merge_layers=range(4), **SIZE).eval()
    model.load_state_dict(plain.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(model(clips), plain(clips), rtol=1e-4, atol=1e-5)


def test_blocks_in_any_order():
    """The first number is for the first block, however merge_layers is written."""
    neck = dict(type='ToMeNeck', r=[20, 2])
    model = GAIEVisionTransformer(neck=neck, merge_layers=(3, 1), **SIZE)
    history = []
    model.forward_tokens(torch.randn(1, 3, 8, 32, 32), history)
    assert [state.x.shape[1] for state in history] == [64, 44, 44, 42]


@pytest.mark.parametrize('prop_attn', [False, True])
def test_final_mean_is_weighted_by_size(prop_attn):
    model = GAIEVisionTransformer(
        neck=dict(type='ToMeNeck', r=20, prop_attn=prop_attn), merge_layers=(1, 2), **SIZE).eval()
    clips = torch.randn(2, 3, 8, 32, 32)
    with torch.no_grad():
        state = model.forward_tokens(clips)
        mean = (state.x * state.size.unsqueeze(-1)).sum(1) / 64
        torch.testing.assert_close(model(clips), model.fc_norm(mean))


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
    (dict(token_keep_ratio=.7, schedule='decreasing'), ValueError, 'single r, but got r=None'),
])
def test_wrong_values_at_building(arguments, error, message):
    with pytest.raises(error, match=message):
        GAIEVisionTransformer(neck=dict(type='ToMeNeck', **arguments), merge_layers=(1, 2), **SIZE)


def test_smaller_input_than_built_for():
    model = GAIEVisionTransformer(
        neck=dict(type='ToMeNeck', r=30), merge_layers=(1, ), **SIZE).eval()
    with pytest.raises(ValueError, match='16 of the 32.*got 30'):
        model(torch.randn(1, 3, 4, 32, 32))


def test_r_needs_a_backbone():
    neck = ToMeNeck(r=2)
    state = replace(TokenState.start(torch.randn(1, 8, 2)), keys=torch.randn(1, 8, 2))
    with pytest.raises(RuntimeError, match='built as the neck of a backbone'):
        neck(state)

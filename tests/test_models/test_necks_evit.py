"""EViT against plain loops."""
from dataclasses import replace

import pytest
import torch
from reference import reducer_loops
from reference.neck_checks import assert_equals_loops, clips_of

from gaie_mmaction.models import EViTNeck, GAIEVisionTransformer, TokenState

SIZE = dict(img_size=32, patch_size=8, embed_dims=24, depth=4, num_heads=2, num_frames=8)


@pytest.mark.parametrize('ratio', [.3, .5, .7, .9])
@pytest.mark.parametrize('count_fused', [False, True])
@pytest.mark.parametrize('ties', [False, True])
def test_equals_plain_loops(ratio, count_fused, ties):
    """Three steps, in the last two of which a fused token can be kept or fused again."""
    neck = EViTNeck(ratio, count_fused)
    fates = set()
    for num_tokens in (30, 41, 60):
        state = TokenState.start(torch.randn(3, num_tokens, 5, dtype=torch.float64))
        for step in range(3):
            shape = state.x.shape[:2]
            importance = torch.rand(shape)
            if ties:
                importance = torch.randint(1, 4, shape) / 4
            before = replace(state, importance=importance, step=step)
            if before.x.shape[1] < 8:
                break
            num_left = neck.num_left(before.x.shape[1], step)
            state = neck(before)
            assert_equals_loops(before, state, [
                reducer_loops.evit(*clip, num_left - 1)
                for clip in clips_of(before, 'importance')])
            assert (state.position[:, -1] == -1).all()
            assert torch.equal(state.size.sum(1), torch.full((3, ), float(num_tokens)))
            if step:
                fates |= set((state.position == -1).sum(1).tolist())
    if ratio in (.5, .7):
        assert {1, 2} <= fates  # fused again, kept: both fates of a fused token came up


def test_token_numbers():
    left = {False: [1568], True: [1568]}
    for count_fused, numbers in left.items():
        neck = EViTNeck(.7, count_fused)
        for step in range(3):
            numbers.append(neck.num_left(numbers[-1], step))
    assert left == {False: [1568, 1099, 771, 541], True: [1568, 1098, 769, 539]}


def test_weights_have_no_gradient_but_tokens_do():
    x = torch.randn(1, 6, 3, dtype=torch.float64, requires_grad=True)
    importance = torch.tensor([[.3, .1, .2, .25, .1, .05]])
    state = EViTNeck(.5)(replace(TokenState.start(x), importance=importance))
    weights = torch.randn_like(state.x)
    (state.x * weights).sum().backward()
    share = torch.tensor([0, .4, 0, 0, .4, .2], dtype=torch.float64)
    expected = share[:, None] * weights[0, 3]
    expected[[0, 2, 3]] = weights[0, :3]
    torch.testing.assert_close(x.grad[0], expected, rtol=1e-6, atol=1e-7)


def test_without_any_attention_it_is_the_plain_mean():
    x = torch.randn(1, 5, 3)
    state = EViTNeck(.4)(replace(TokenState.start(x), importance=torch.zeros(1, 5)))
    torch.testing.assert_close(state.x[0, 2], x[0, 2:].mean(0))


def test_fuses_nothing_alone():
    state = replace(TokenState.start(torch.randn(2, 4, 3)), importance=torch.rand(2, 4))
    after = EViTNeck(.75)(state)
    assert torch.equal(after.x, state.x) and torch.equal(after.position, state.position)


@pytest.mark.parametrize('prop_attn', [False, True])
def test_final_mean(prop_attn):
    """Plain as in the paper, by size with proportional attention."""
    neck = dict(type='EViTNeck', prop_attn=prop_attn)
    model = GAIEVisionTransformer(neck=neck, merge_layers=(1, 2), **SIZE).eval()
    clips = torch.randn(2, 3, 8, 32, 32)
    with torch.no_grad():
        state = model.forward_tokens(clips)
        weight = state.size if prop_attn else torch.ones_like(state.size)
        mean = (state.x * weight.unsqueeze(-1)).sum(1) / weight.sum(1, keepdim=True)
        torch.testing.assert_close(model(clips), model.fc_norm(mean))


def test_too_few_tokens_at_building():
    with pytest.raises(ValueError, match='0.01, which leaves 1 of 64 tokens with count_fused=True'):
        GAIEVisionTransformer(neck=dict(type='EViTNeck', token_keep_ratio=.01, count_fused=True),
                              merge_layers=(1, ), **SIZE)

"""EViT's fused token."""
from dataclasses import replace

import pytest
import torch
from small_model import make_vit

from gaie_mmaction.models import EViTNeck, TokenState


@pytest.mark.parametrize('ratio', [.5, .7])
def test_fused_token_comes_last_and_can_be_kept_or_fused_again(ratio):
    neck, fates = EViTNeck(ratio), set()
    for _ in range(5):
        state = TokenState.start(torch.randn(3, 60, 5))
        for _ in range(3):
            state = neck(replace(state, importance=torch.rand(state.x.shape[:2])))
            assert (state.position[:, -1] == -1).all()
            fates |= set((state.position == -1).sum(1).tolist())
    assert {1, 2} <= fates


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


def test_too_few_tokens_at_building():
    with pytest.raises(ValueError, match='0.01, which leaves 1 of 64 tokens with count_fused=True'):
        make_vit(dict(type='EViTNeck', token_keep_ratio=.01, count_fused=True))

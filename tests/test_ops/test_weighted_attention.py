"""weighted_attention against plain loops, dense autograd, and the visible tokens alone."""
import numpy as np
import pytest
import torch
from reference import gaie_loops, reducer_loops

from gaie_mmaction.ops import attention_with_importance, weighted_attention
from gaie_mmaction.ops.weighted_attention import QUERY_BLOCK


def make_qkv(batch, heads, num_tokens, dims, dtype=torch.float64):
    return [torch.randn(batch, heads, num_tokens, dims, dtype=torch.float64).to(dtype)
            for _ in range(3)]


def dense(q, k, v, scale, weight):
    """The whole map at once, by autograd, in the form of the definition."""
    attn = (scale * q @ k.transpose(-2, -1)).exp() * weight[:, None, None, :]
    return attn / attn.sum(-1, keepdim=True) @ v


def test_sharpness_equals_plain_loops():
    q, k, v = make_qkv(2, 2, 11, 4)
    size = torch.rand(2, 11) + .5
    out, sharpness = weighted_attention(q, k, v, scale=.7, size=size, score='sharpness')
    np.testing.assert_allclose(
        sharpness, reducer_loops.sharpness(q.numpy(), k.numpy(), .7), rtol=1e-5)
    expected, _ = gaie_loops.attention(
        q.numpy(), k.numpy(), v.numpy(), .7, size.double().log().numpy())
    np.testing.assert_allclose(out, expected, rtol=1e-6)
    assert sharpness.dtype == torch.float32 and not sharpness.requires_grad


@pytest.mark.parametrize('factor, expected', [(0., 0.), (1e4, np.log(50))])
def test_ends_of_sharpness(factor, expected):
    """Uniform attention has 0, attention to one key log N, in half precision too."""
    q, k, v = make_qkv(1, 1, 50, 16, torch.bfloat16)
    k = torch.eye(50, dtype=torch.bfloat16)[None, None, :, :16]
    q = factor * torch.ones_like(q) * torch.arange(1, 17)
    _, sharpness = weighted_attention(q, k, v, score='sharpness')
    torch.testing.assert_close(sharpness, torch.full((1, 50), float(expected)), atol=1e-5, rtol=0)


@pytest.mark.parametrize('num_tokens', [1, 7, QUERY_BLOCK + 1, 300])
def test_without_weights_it_is_the_importance(num_tokens):
    q, k, v = make_qkv(2, 2, num_tokens, 8, torch.float32)
    bias = torch.rand(2, num_tokens)
    for arguments, others in ((dict(), dict()), (dict(size=bias.exp()), dict(bias=bias))):
        for got, expected in zip(weighted_attention(q, k, v, **arguments),
                                 attention_with_importance(q, k, v, **others)):
            torch.testing.assert_close(got, expected)


@pytest.mark.parametrize('score', ['column_mean', 'sharpness'])
def test_gradients_equal_dense_autograd(score):
    """Also those to the zeros of the mask, over more than one block of queries."""
    num_tokens = QUERY_BLOCK + 30
    q, k, v = (t.requires_grad_() for t in make_qkv(2, 2, num_tokens, 8))
    mask = (torch.rand(2, num_tokens) < .6).double().requires_grad_()
    size = torch.rand(2, num_tokens, dtype=torch.float64) + .5
    out, _ = weighted_attention(q, k, v, size=size, mask=mask, score=score)
    expected = dense(q, k, v, 8**-.5, size * mask)
    torch.testing.assert_close(out, expected)
    factors = torch.randn_like(v)
    got = torch.autograd.grad((out * factors).sum(), (q, k, v, mask))
    for a, b in zip(got, torch.autograd.grad((expected * factors).sum(), (q, k, v, mask))):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)
    assert got[3][mask == 0].abs().min() > 0


def test_hidden_tokens_are_as_good_as_gone():
    q, k, v = make_qkv(1, 2, 40, 8, torch.float32)
    mask = torch.ones(1, 40)
    mask[0, 25:] = 0
    k[:, :, 30] *= 100  # however loud they are
    out, importance = weighted_attention(q, k, v, mask=mask)
    rest, rest_importance = attention_with_importance(*(t[:, :, :25] for t in (q, k, v)))
    torch.testing.assert_close(out[:, :, :25], rest)
    torch.testing.assert_close(importance[:, :25], rest_importance)
    assert not importance[:, 25:].any()


def test_loud_hidden_tokens_do_not_overflow():
    q, k, v = make_qkv(1, 1, 10, 8, torch.float32)
    mask = torch.ones(1, 10)
    mask[0, 3] = 0
    mask.requires_grad_()
    k[:, :, 3] = 1000 * q[:, :, 0]
    weighted_attention(q, k, v, mask=mask)[0].sum().backward()
    assert torch.isfinite(mask.grad).all()


@pytest.mark.parametrize('change, message', [
    (dict(score='entropy'), "got 'entropy'"),
    (dict(k=torch.zeros(1, 2, 4, 8)), r'\(1, 2, 4, 8\)'),
    (dict(size=torch.ones(1, 4)), r'size must have the shape.*\(1, 5\).*\(1, 4\)'),
    (dict(mask=torch.ones(2, 5)), r'mask must have the shape.*\(1, 5\).*\(2, 5\)'),
])
def test_wrong_arguments(change, message):
    arguments = {name: torch.zeros(1, 2, 5, 8) for name in 'qkv'}
    arguments.update(change)
    with pytest.raises(ValueError, match=message):
        weighted_attention(arguments.pop('q'), arguments.pop('k'), arguments.pop('v'), **arguments)

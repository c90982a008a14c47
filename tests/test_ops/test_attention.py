"""attention_with_importance against plain loops, float64 and autograd."""
import numpy as np
import pytest
import torch
from reference import gaie_loops

from gaie_mmaction.ops import attention_with_importance
from gaie_mmaction.ops.attention import QUERY_BLOCK

BACKENDS = ['eager', 'chunked', 'auto']
# of the largest value, by dtype
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}


def make_qkv(batch, heads, num_tokens, dims, dtype=torch.float64):
    return [torch.randn(batch, heads, num_tokens, dims, dtype=torch.float64).to(dtype)
            for _ in range(3)]


def relative_error(value, reference):
    return ((value.double() - reference).abs().max() / reference.abs().max()).item()


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('with_bias', [False, True])
def test_equals_plain_loops(backend, with_bias):
    q, k, v = make_qkv(2, 2, 13, 4)
    bias = torch.randn(2, 13, dtype=torch.float64) if with_bias else None
    out, importance = attention_with_importance(q, k, v, scale=.3, bias=bias, backend=backend)
    expected = gaie_loops.attention(
        q.numpy(), k.numpy(), v.numpy(), .3, None if bias is None else bias.numpy())
    np.testing.assert_allclose(out, expected[0], rtol=1e-12)
    np.testing.assert_allclose(importance, expected[1], rtol=1e-6)
    assert importance.dtype == torch.float32 and not importance.requires_grad


@pytest.mark.parametrize('dtype', TOLERANCE)
@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('num_tokens', [1, 2, 7, QUERY_BLOCK, QUERY_BLOCK + 1, 539, 1568])
def test_precision(dtype, backend, num_tokens):
    q, k, v = make_qkv(1, 2, num_tokens, 64, dtype)
    out, importance = attention_with_importance(q, k, v, backend=backend)
    expected = attention_with_importance(q.double(), k.double(), v.double(), backend='eager')
    assert out.dtype == dtype
    assert relative_error(out, expected[0]) <= TOLERANCE[dtype]
    worst = ((importance.double() - expected[1]).abs() / expected[1]).max()
    assert worst <= TOLERANCE[dtype]


@pytest.mark.parametrize('backend', ['eager', 'chunked'])
def test_importance_is_a_distribution(backend):
    q, k, v = make_qkv(3, 4, 300, 8, torch.float32)
    _, importance = attention_with_importance(10 * q, k, v, backend=backend)
    assert (importance >= 0).all()
    torch.testing.assert_close(importance.sum(1), torch.ones(3))


def test_backward_of_chunked_equals_autograd():
    q, k, v = (t.requires_grad_() for t in make_qkv(2, 2, QUERY_BLOCK + 40, 8))
    bias = torch.randn(2, QUERY_BLOCK + 40, dtype=torch.float64, requires_grad=True)
    weights = torch.randn_like(v)
    gradients = []
    for backend in ('eager', 'chunked'):
        out, _ = attention_with_importance(q, k, v, bias=bias, backend=backend)
        gradients.append(torch.autograd.grad((out * weights).sum(), (q, k, v, bias)))
    for eager, chunked in zip(*gradients):
        torch.testing.assert_close(chunked, eager, rtol=1e-9, atol=1e-12)


def test_chunked_never_holds_the_map():
    """The largest tensor made is a block of queries, forward and backward."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Largest(TorchDispatchMode):
        numel = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            for tensor in result if isinstance(result, (tuple, list)) else [result]:
                if isinstance(tensor, torch.Tensor):
                    self.numel = max(self.numel, tensor.numel())
            return result

    num_tokens, heads = 1000, 2
    q, k, v = (t.requires_grad_() for t in make_qkv(1, heads, num_tokens, 8, torch.float32))
    with Largest() as largest:
        attention_with_importance(q, k, v, backend='chunked')[0].sum().backward()
    assert largest.numel == heads * QUERY_BLOCK * num_tokens


def test_autocast_leaves_the_dtype_alone():
    q, k, v = make_qkv(1, 2, 50, 8, torch.float32)
    expected = attention_with_importance(q, k, v)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out, importance = attention_with_importance(q, k, v)
    assert torch.equal(out, expected[0]) and torch.equal(importance, expected[1])


@pytest.mark.parametrize('change, message', [
    (dict(backend='fast'), "got 'fast'"),
    (dict(k=torch.zeros(1, 2, 4, 8)), r'\(1, 2, 4, 8\)'),
    (dict(bias=torch.zeros(1, 4)), r'\(1, 5\)'),
])
def test_wrong_arguments(change, message):
    arguments = {name: torch.zeros(1, 2, 5, 8) for name in 'qkv'}
    arguments.update(change)
    with pytest.raises(ValueError, match=message):
        attention_with_importance(
            arguments.pop('q'), arguments.pop('k'), arguments.pop('v'), **arguments)

"""attention_with_importance against plain loops, float64 and autograd."""
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from reference import gaie_loops

from gaie_mmaction.benchmark import memory
from gaie_mmaction.ops import (
    attention_with_importance,
    chunked_attention,
    flash_attention,
    fused_attention,
)
from gaie_mmaction.ops.attention import spread_queries

BACKENDS = ['eager', 'chunked', 'flash', 'auto']
# of the largest value, by dtype
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}


@pytest.fixture(params=[None, 1, 600])
def block_values(request, monkeypatch):
    """The usual size of blocks, single rows, and blocks with a remainder."""
    if request.param:
        monkeypatch.setitem(chunked_attention.BLOCK_VALUES, 'cpu', request.param)


def make_qkv(batch, heads, num_tokens, dims, dtype=torch.float64):
    return [torch.randn(batch, heads, num_tokens, dims, dtype=torch.float64).to(dtype)
            for _ in range(3)]


def relative_error(value, reference):
    return ((value.double() - reference).abs().max() / reference.abs().max()).item()


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('with_bias', [False, True])
def test_equals_plain_loops(backend, with_bias, block_values):
    q, k, v = make_qkv(2, 3, 13, 4)
    bias = torch.randn(2, 13, dtype=torch.float64) if with_bias else None
    out, importance = attention_with_importance(q, k, v, scale=.3, bias=bias, backend=backend)
    expected = gaie_loops.attention(
        q.numpy(), k.numpy(), v.numpy(), .3, None if bias is None else bias.numpy())
    np.testing.assert_allclose(out, expected[0], rtol=1e-12)
    np.testing.assert_allclose(importance, expected[1], rtol=1e-6)
    assert importance.dtype == torch.float32 and not importance.requires_grad


@pytest.mark.parametrize('backend', ['auto', 'eager', 'chunked'])
@pytest.mark.parametrize('with_bias', [False, True])
@pytest.mark.parametrize('num_queries', [1, 5, 12])
def test_importance_of_some_queries_equals_plain_loops(num_queries, with_bias, backend):
    """12 tokens are a grid of 2x2x3; all queries give exactly what None gives."""
    q, k, v = (t.requires_grad_() for t in make_qkv(2, 3, 12, 4))
    bias = torch.randn(2, 12, dtype=torch.float64) if with_bias else None
    out, importance = attention_with_importance(
        q, k, v, bias=bias, backend=backend, importance_queries=num_queries)
    whole = attention_with_importance(q, k, v, bias=bias, backend=backend)
    chosen = spread_queries(12, num_queries).tolist()
    assert len(set(chosen)) == num_queries
    rows = q.detach()[:, :, chosen].numpy()
    expected = np.mean([gaie_loops.attention(
        np.broadcast_to(rows[:, :, i:i + 1], q.shape), k.detach().numpy(), v.detach().numpy(), .5,
        None if bias is None else bias.numpy())[1] for i in range(num_queries)], axis=0)
    np.testing.assert_allclose(importance, expected, rtol=1e-6)
    torch.testing.assert_close(out, whole[0])
    assert out.requires_grad and not importance.requires_grad
    assert num_queries < 12 or torch.equal(importance, whole[1])


@pytest.mark.parametrize('num_tokens', [100, 769, 1098, 1568])
def test_queries_are_spread_over_the_clip(num_tokens):
    """Each eighth of the clip and each column of places has about its share, whatever M."""
    for num_queries in (8, 25, 72, num_tokens // 3, num_tokens // 2 + 7, num_tokens - 5):
        chosen = spread_queries(num_tokens, num_queries)
        assert len(chosen.unique()) == num_queries
        tokens = torch.arange(num_tokens)
        for part in (*tokens.tensor_split(8), *(tokens[k::14] for k in range(14))):
            share = torch.isin(part, chosen).sum()
            assert abs(share - num_queries * len(part) / num_tokens) < 3


@pytest.mark.parametrize('dtype', TOLERANCE)
@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('num_tokens', [1, 2, 7, 128, 129, 539, 1568])
def test_precision(dtype, backend, num_tokens):
    q, k, v = make_qkv(1, 2, num_tokens, 64, dtype)
    out, importance = attention_with_importance(q, k, v, backend=backend)
    expected = attention_with_importance(q.double(), k.double(), v.double(), backend='eager')
    assert out.dtype == dtype
    assert relative_error(out, expected[0]) <= TOLERANCE[dtype]
    worst = ((importance.double() - expected[1]).abs() / expected[1]).max()
    assert worst <= TOLERANCE[dtype]


@pytest.mark.parametrize('num_tokens', [1, 7, 539, 3136, 6272])
def test_precision_of_many_tokens(num_tokens):
    """One head, as the reference holds the map."""
    q, k, v = make_qkv(1, 1, num_tokens, 64, torch.float32)
    q = 3 * q  # as sharp as trained attention
    expected = attention_with_importance(q.double(), k.double(), v.double(), backend='eager')
    for backend in ('chunked', 'flash'):
        out, importance = attention_with_importance(q, k, v, backend=backend)
        assert relative_error(out, expected[0]) <= TOLERANCE[torch.float32]
        assert ((importance - expected[1]).abs() / expected[1]).max() <= 1e-4
        assert relative_error(importance, expected[1]) <= TOLERANCE[torch.float32]


@pytest.mark.parametrize('backend', ['eager', 'chunked', 'flash'])
def test_importance_is_a_distribution(backend):
    q, k, v = make_qkv(3, 4, 300, 8, torch.float32)
    _, importance = attention_with_importance(10 * q, k, v, backend=backend)
    assert (importance >= 0).all()
    torch.testing.assert_close(importance.sum(1), torch.ones(3))


@pytest.mark.parametrize('backend', ['chunked', 'flash'])
@pytest.mark.parametrize('with_bias', [False, True])
def test_gradient_equals_eager(backend, with_bias, block_values):
    inputs = [t.requires_grad_() for t in make_qkv(2, 2, 40, 8)]
    bias = torch.randn(2, 40, dtype=torch.float64) if with_bias else None
    if with_bias and backend == 'chunked':
        inputs.append(bias.requires_grad_())
    weights = torch.randn_like(inputs[0])
    results = {}
    for name in ('eager', backend):
        out, importance = attention_with_importance(*inputs[:3], bias=bias, backend=name)
        assert not importance.requires_grad
        results[name] = (*torch.autograd.grad((out * weights).sum(), inputs), importance)
    for value, expected in zip(results[backend], results['eager']):
        torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize('with_gradient', [False, True])
@pytest.mark.parametrize('dtype', TOLERANCE)
def test_memory(dtype, with_gradient, monkeypatch):
    """2 threads, 12 heads, 6272 tokens: at most 5 % of a head's float32 map over fused attention.

    Blocks grow with the threads.
    """
    monkeypatch.setattr(torch, 'get_num_threads', lambda: 2)
    num_tokens, heads = 6272, 12
    qkv = torch.zeros(1, num_tokens, 3, heads, 8, dtype=dtype, requires_grad=with_gradient)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    fused = memory._cpu_growth(lambda: F.scaled_dot_product_attention(q, k, v))
    ours = memory._cpu_growth(
        lambda: attention_with_importance(q, k, v, backend='chunked'))
    assert ours - fused <= .05 * num_tokens**2 * 4


@pytest.mark.parametrize('block_values', [chunked_attention.BLOCK_VALUES['cpu'], 300])
def test_compiles_without_a_break(block_values, monkeypatch):
    """With one block and with many, where heads go by threads."""
    monkeypatch.setitem(chunked_attention.BLOCK_VALUES, 'cpu', block_values)
    torch._dynamo.reset()
    q, k, v = make_qkv(1, 2, 50, 8, torch.float32)
    for needs in (False, True):
        q = q.detach().requires_grad_(needs)
        expected = attention_with_importance(q, k, v)
        compiled = torch.compile(attention_with_importance, fullgraph=True, backend='aot_eager')
        for value, other in zip(compiled(q, k, v), expected):
            torch.testing.assert_close(value, other)


@pytest.mark.parametrize('num_tokens, threads', [(1568, 8), (3136, 4), (3136, 64)])
def test_blocks_of_half_precision_with_many_threads(num_tokens, threads, monkeypatch):
    """The float32 copies of keys and values leave room for whole blocks of queries.

    After each block the threads wait for each other: with many there are fewer blocks.
    """
    rows, blocks = [], chunked_attention._query_blocks
    monkeypatch.setattr(chunked_attention, '_query_blocks',
                        lambda *args: [rows[-1].append(b - a) for a, b in blocks(*args)][:0])
    q, k, v = torch.zeros(3, 1, 12, num_tokens, 64, dtype=torch.bfloat16)
    for number in (2, threads):
        rows.append([])
        monkeypatch.setattr(torch, 'get_num_threads', lambda number=number: number)
        chunked_attention.chunked_attention(q, k, v, None, 1.)
    assert min(rows[1]) >= 64 and len(rows[1]) < len(rows[0]) / 1.5


def test_layout_of_the_output():
    """(B, N, h, d) in memory, so that joining the heads copies nothing."""
    q, k, v = make_qkv(2, 3, 20, 8, torch.float32)
    out, _ = attention_with_importance(q, k, v, backend='chunked')
    assert out.transpose(1, 2).is_contiguous()


def test_autocast_leaves_the_dtype_alone():
    q, k, v = make_qkv(1, 2, 50, 8, torch.float32)
    expected = attention_with_importance(q, k, v)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out, importance = attention_with_importance(q, k, v)
    assert torch.equal(out, expected[0]) and torch.equal(importance, expected[1])


@pytest.mark.parametrize('change, message', [
    (dict(backend='fast'), "got 'fast'"),
    (dict(backend='triton'), "take backend='auto'"),
    (dict(importance_queries=0), 'at least 1, but got 0'),
    (dict(importance_queries=2, backend='flash'), "backend 'flash'"),
    (dict(k=torch.zeros(1, 2, 4, 8)), r'\(1, 2, 4, 8\)'),
    (dict(bias=torch.zeros(1, 4)), r'\(1, 5\)'),
])
def test_wrong_arguments(change, message):
    arguments = {name: torch.zeros(1, 2, 5, 8) for name in 'qkv'}
    arguments.update(change)
    with pytest.raises(ValueError, match=message):
        attention_with_importance(
            arguments.pop('q'), arguments.pop('k'), arguments.pop('v'), **arguments)


@pytest.mark.parametrize('able', [False, True])
def test_auto_takes_the_fused_one_twice_for_bfloat16_alone(able, monkeypatch):
    """And falls back with no change of result where the processor or PyTorch cannot."""
    runs = []
    monkeypatch.setattr(flash_attention, 'MULTIPLIES_BFLOAT16', able)
    operators = fused_attention.OPERATORS
    operator = operators['cpu', fused_attention.FLASH]
    monkeypatch.setitem(operators, ('cpu', fused_attention.FLASH),
                        lambda *args, **kwargs: runs.append(1) or operator(*args, **kwargs))
    q, k, v = make_qkv(1, 2, 200, 32, torch.bfloat16)
    expected = attention_with_importance(q, k, v, backend='eager')
    for dtype, number in ((torch.bfloat16, 2 * able), (torch.float32, 0)):
        runs.clear()
        out, importance = attention_with_importance(q.to(dtype), k.to(dtype), v.to(dtype))
        assert len(runs) == number
        torch.testing.assert_close(out.float(), expected[0].float(), rtol=2e-2, atol=2e-3)
        torch.testing.assert_close(importance, expected[1], rtol=2e-2, atol=0)
    bias = torch.zeros(1, 200, requires_grad=True)  # no gradient of the bias comes from there
    runs.clear()
    attention_with_importance(q, k, v, bias=bias)
    assert not runs
    monkeypatch.setitem(operators, ('cpu', fused_attention.FLASH), None)
    assert torch.equal(attention_with_importance(q, k, v)[1], attention_with_importance(
        q, k, v, backend='chunked')[1])

"""Token merging against plain loops, and its properties."""
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from functorch.compile import make_boxed_func
from reference import gaie_loops
from torch._dynamo.backends.common import aot_autograd
from torch.utils._python_dispatch import TorchDispatchMode

from gaie_mmaction.models.necks import GAIENeck, TokenState
from gaie_mmaction.ops import (
    attention_with_importance,
    distinctness,
    gather_tokens,
    match_tokens,
    merge_sizes,
    merge_tokens,
    new_index,
    num_kept,
    select_tokens,
    token_merging,
    update_source,
)

RATIOS = ['0.05', '0.3', '0.5', '0.55', '0.7', '0.9', '1']


def merge_all(x, importance, ratio, metric=None):
    keep_idx, merge_idx = select_tokens(importance, num_kept(x.shape[1], ratio))
    dst = match_tokens(x if metric is None else metric, keep_idx, merge_idx)
    return merge_tokens(x, keep_idx, merge_idx, dst), (keep_idx, merge_idx, dst)


@pytest.mark.parametrize('ratio', RATIOS)
@pytest.mark.parametrize('ties', [False, True])
def test_equals_plain_loops(ratio, ties):
    """Random shapes; with ties, importances of few values and exactly equal cosines."""
    rng = np.random.default_rng(int(float(ratio) * 100) + ties)
    for _ in range(12):
        batch, num_tokens = int(rng.integers(1, 4)), int(rng.integers(1, 40))
        if ties:
            # four entries of +-1: every norm is 2 and every cosine an exact quarter
            x = np.zeros((batch, num_tokens, 6))
            for token in x.reshape(-1, 6):
                token[rng.permutation(6)[:4]] = rng.choice([-1., 1.], 4)
            importance = rng.integers(0, 3, (batch, num_tokens)).astype(np.float64)
        else:
            x = rng.normal(size=(batch, num_tokens, int(rng.integers(1, 9))))
            importance = rng.random((batch, num_tokens))
        merged, _ = merge_all(torch.from_numpy(x), torch.from_numpy(importance), float(ratio))
        np.testing.assert_allclose(merged, gaie_loops.gaie(x, importance, ratio), rtol=1e-12)


@pytest.mark.parametrize('values', [10**6, 50, 1])
def test_distinctness_equals_plain_loops(values, monkeypatch):
    """In one block, in several, and row by row; with equal importances."""
    monkeypatch.setitem(token_merging.MATCH_VALUES, 'cpu', values)
    rng = np.random.default_rng(values)
    for num_tokens in (1, 2, 9, 20):
        metric = rng.normal(size=(2, num_tokens, 5))
        importance = rng.integers(0, 9, (2, num_tokens))
        found = distinctness(torch.from_numpy(metric), torch.from_numpy(importance).double())
        np.testing.assert_allclose(
            found, [gaie_loops.distinctness(*clip) for clip in zip(metric, importance)], atol=1e-12)


def test_distinctness_in_half_precision_is_that_of_float32():
    metric, importance = torch.randn(2, 50, 8).bfloat16(), torch.rand(2, 50)
    with torch.autocast('cpu', torch.bfloat16):
        found = distinctness(metric, importance)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, distinctness(metric.float(), importance))
    torch.library.opcheck(torch.ops.gaie_mmaction.distinctness, (metric, importance))


@pytest.mark.parametrize('num_tokens, ratio, expected', [
    (1568, .7, 1098), (1098, .7, 769), (769, .7, 539), (100, .55, 55), (10, .7, 7), (1, .001, 1),
    (7, 1., 7), (7, 1, 7)
])
def test_num_kept(num_tokens, ratio, expected):
    assert num_kept(num_tokens, ratio) == expected


@pytest.mark.parametrize('arguments', [(10, 0), (10, 1.01), (10, -.5), (10, float('nan')), (0, .5)])
def test_num_kept_refuses(arguments):
    with pytest.raises(ValueError, match='but got'):
        num_kept(*arguments)


@pytest.mark.parametrize('num_keep', [0, 6])
def test_select_refuses(num_keep):
    with pytest.raises(ValueError, match=rf'\[1, 5\].*got {num_keep}'):
        select_tokens(torch.rand(2, 5), num_keep)


def test_properties():
    """Order, sizes, provenance and conservation over random inputs, merged twice."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        batch, num_tokens = 3, int(torch.randint(2, 60, (1, ), generator=generator))
        x = torch.randn(batch, num_tokens, 5, dtype=torch.float64, generator=generator)
        start = x
        size = torch.ones(batch, num_tokens)
        source = torch.arange(num_tokens).expand(batch, -1)
        position = source
        for _ in range(2):
            importance = torch.rand(x.shape[:2], generator=generator)
            merged, merge = merge_all(x, importance, .7)
            keep_idx, merge_idx, dst = merge
            size = merge_sizes(size, *merge)
            source = update_source(source, new_index(keep_idx, x.shape[1], merge_idx, dst))
            assert (keep_idx.diff(dim=1) > 0).all() and (merge_idx.diff(dim=1) > 0).all()
            both = torch.cat([keep_idx, merge_idx], 1).sort(1).values
            assert torch.equal(both, torch.arange(x.shape[1]).expand_as(both))
            weakest = importance.gather(1, keep_idx).min(1).values
            if merge_idx.shape[1]:
                assert (importance.gather(1, merge_idx).max(1).values <= weakest).all()
                assert dst.min() >= 0 and dst.max() < keep_idx.shape[1]
            position = gather_tokens(position, keep_idx)
            x = merged
        assert (position.diff(dim=1) > 0).all()
        assert torch.equal(size.sum(1), torch.full((batch, ), float(num_tokens)))
        for b in range(batch):
            counts = source[b].bincount(minlength=x.shape[1])
            assert torch.equal(counts.float(), size[b])
            # a kept token is still at its own place
            assert torch.equal(source[b, position[b]], torch.arange(x.shape[1]))
        assert start is not x


def test_one_merge_keeps_the_weighted_sum():
    x = torch.randn(2, 30, 4, dtype=torch.float64)
    merged, merge = merge_all(x, torch.rand(2, 30), .6)
    size = merge_sizes(torch.ones(2, 30, dtype=torch.float64), *merge)
    torch.testing.assert_close((merged * size.unsqueeze(-1)).sum(1), x.sum(1))


def test_ratio_one_is_the_identity():
    x = torch.randn(2, 11, 3)
    merged, _ = merge_all(x, torch.rand(2, 11), 1.)
    assert torch.equal(merged, x)


def test_gradient_flows_through_the_mean_only():
    x = torch.randn(1, 4, 3, dtype=torch.float64, requires_grad=True)
    importance = torch.rand(1, 4, requires_grad=True)
    merged, (keep_idx, merge_idx, dst) = merge_all(x, importance, .5)
    weights = torch.randn_like(merged)
    (merged * weights).sum().backward()
    assert importance.grad is None
    counts = 1 + dst[0].bincount(minlength=2)
    expected = torch.empty_like(x)
    expected[0, keep_idx[0]] = weights[0] / counts[:, None]
    expected[0, merge_idx[0]] = (weights[0] / counts[:, None])[dst[0]]
    torch.testing.assert_close(x.grad, expected)


def test_half_precision_sums_in_float32():
    """400 equal tokens of 1.25 into one: a bfloat16 running sum would stop growing."""
    x = torch.full((1, 400, 2), 1.25, dtype=torch.bfloat16)
    merged, _ = merge_all(x, torch.rand(1, 400), .0025)
    assert merged.shape == (1, 1, 2) and merged.dtype == torch.bfloat16
    assert torch.equal(merged, torch.full_like(merged, 1.25))


def test_zero_token_joins_the_first():
    x = torch.zeros(1, 3, 2)
    x[0, 1:] = torch.eye(2)
    _, (_, _, dst) = merge_all(x, torch.tensor([[0., 1., 2.]]), .6)
    assert dst.tolist() == [[0]]


@pytest.mark.parametrize('values', [1, 700])
def test_matching_in_blocks(values, monkeypatch):
    """Small blocks change nothing, and no more similarities are held than allowed."""
    x, importance = torch.randn(3, 50, 6), torch.rand(3, 50)
    keep_idx, merge_idx = select_tokens(importance, 35)
    whole = match_tokens(x, keep_idx, merge_idx)
    monkeypatch.setitem(token_merging.MATCH_VALUES, 'cpu', values)
    largest = []
    argmax = torch.Tensor.argmax
    monkeypatch.setattr(torch.Tensor, 'argmax',
                        lambda t, **kwargs: largest.append(t.numel()) or argmax(t, **kwargs))
    assert torch.equal(match_tokens(x, keep_idx, merge_idx), whole)
    assert len(largest) == -(-15 // max(1, values // 105)) and max(largest) <= max(values, 105)


def test_float32_chooses_as_float64():
    """At least 99.9 % of the tokens of a ViT-B are kept and matched alike."""
    generator = torch.Generator().manual_seed(0)
    qkv = torch.randn(2, 1568, 3, 4, 64, dtype=torch.float64, generator=generator)
    q, k, v = (2 * qkv).permute(2, 0, 3, 1, 4)
    x = torch.randn(2, 1568, 256, dtype=torch.float64, generator=generator)
    expected = attention_with_importance(q, k, v, backend='eager')[1]
    exact = (((q * 64**-.5) @ k.transpose(-2, -1)).softmax(dim=-1)).mean(dim=(1, 2))
    torch.testing.assert_close(expected, exact.float())
    keep_idx, merge_idx = select_tokens(exact, 1098)
    dst = match_tokens(x, keep_idx, merge_idx)
    for backend in ('chunked', 'flash'):
        importance = attention_with_importance(
            q.float(), k.float(), v.float(), backend=backend)[1]
        own_keep, own_merge = select_tokens(importance, 1098)
        for clip in range(2):
            same = set(own_keep[clip].tolist()) & set(keep_idx[clip].tolist())
            assert len(same) >= .999 * 1098
            for token in set(own_keep[clip].tolist()) - same:
                border = exact[clip, keep_idx[clip]].min()
                assert abs(exact[clip, token] / border - 1) <= 1e-6
        own = match_tokens(x.float(), keep_idx, merge_idx)
        assert (own == dst).double().mean() >= .999


def test_nothing_depends_on_the_run():
    """Sums are taken in one order, under torch's own check, forward and backward."""
    x, importance = torch.randn(2, 300, 8, requires_grad=True), torch.rand(2, 300)
    torch.use_deterministic_algorithms(True)
    try:
        results = []
        for _ in range(3):
            merged, _ = merge_all(x, importance, .1)
            results.append((merged, *torch.autograd.grad(merged.square().sum(), x)))
    finally:
        torch.use_deterministic_algorithms(False)
    for merged, gradient in results[1:]:
        assert torch.equal(merged, results[0][0]) and torch.equal(gradient, results[0][1])


@pytest.mark.parametrize('weighted', [False, True])
def test_gradients_of_the_merge(weighted):
    """Numerical ones, first and second; of tokens in no group too."""
    x = torch.randn(2, 9, 3, dtype=torch.float64, requires_grad=True)
    weight = (torch.rand(2, 9, dtype=torch.float64) + .1).requires_grad_() if weighted else None
    keep_idx, merge_idx = select_tokens(torch.rand(2, 9), 4)
    dst = torch.tensor([[0, 0, 3, 0], [1, 2, 1, 1]])
    inputs = x, keep_idx, merge_idx[:, :4], dst, weight
    assert torch.autograd.gradcheck(merge_tokens, inputs)
    assert weighted or torch.autograd.gradgradcheck(merge_tokens, inputs)


def test_compiled_merge_adds_by_no_atomics():
    """Inductor makes atomics of accumulating operators, which add in random order on a GPU."""
    graphs = []

    def keep_graph(graph, _):
        graphs.append(graph)
        return make_boxed_func(graph.forward)

    backend = aot_autograd(fw_compiler=keep_graph, bw_compiler=keep_graph)
    keep_idx, merge_idx = select_tokens(torch.rand(2, 30), 20)
    x, dst = torch.randn(2, 30, 4, requires_grad=True), torch.randint(0, 20, (2, 10))
    torch._dynamo.reset()
    compiled = torch.compile(merge_tokens, backend=backend, fullgraph=True)
    out = compiled(x, keep_idx, merge_idx, dst)
    torch.testing.assert_close(out, merge_tokens(x, keep_idx, merge_idx, dst))
    out.square().sum().backward()
    names = ' '.join(str(node.target) for graph in graphs for node in graph.graph.nodes)
    assert len(graphs) == 2 and 'index_copy' in names
    assert not {'index_put', 'index_add', 'scatter_add'} & set(re.findall(r'\w+', names))


@pytest.mark.parametrize('metric', ['token', 'key'])
def test_operators_of_a_reduction(metric):
    """Selection, matching, merge, sizes, provenance and positions launch little on a GPU."""
    neck = GAIENeck(metric=metric)
    state = replace(TokenState.start(torch.randn(2, 50, 8)), importance=torch.rand(2, 50),
                    keys=torch.randn(2, 50, 4))
    with OperatorCount() as count:
        neck(state)
    assert len(count.names) <= 20, count.names


class OperatorCount(TorchDispatchMode):

    def __enter__(self):
        self.names = []
        return super().__enter__()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def test_sums_of_other_devices_equal_the_cpus():
    """The sorted sum that GPUs take."""
    x, importance = torch.randn(2, 40, 8), torch.rand(2, 40)
    merged, merge = merge_all(x, importance, .3)
    kept, background = gather_tokens(x, merge[0]), gather_tokens(x, merge[1])
    added = token_merging.scatter_add_tokens(kept, merge[2], background)
    rows = merge[2] + torch.arange(2)[:, None] * 12
    sorted_sum = kept.flatten(0, 1).index_put(
        (rows.flatten(), ), background.flatten(0, 1), accumulate=True)
    torch.testing.assert_close(added.flatten(0, 1), sorted_sum)


def test_importance_without_numbers_keeps_valid_indices():
    """A diverged network must not crash a GPU by indices out of range."""
    importance = torch.rand(2, 10)
    importance[0, 3:] = float('nan')
    keep_idx, merge_idx = select_tokens(importance, 7)
    both = torch.cat([keep_idx, merge_idx], dim=1).sort(dim=1).values
    assert torch.equal(both, torch.arange(10).expand(2, -1))

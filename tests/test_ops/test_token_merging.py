"""Token merging against plain loops, and its properties."""
import numpy as np
import pytest
import torch
from reference import gaie_loops

from gaie_mmaction.ops import (
    gather_tokens,
    match_tokens,
    merge_sizes,
    merge_source,
    merge_tokens,
    num_kept,
    select_tokens,
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
            size, source = merge_sizes(size, *merge), merge_source(source, *merge)
            keep_idx, merge_idx, dst = merge
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

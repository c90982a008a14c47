"""Learned token counts: DiffRate's differentiable discrete proxy.

"DiffRate: Differentiable Compression Rate for Efficient Vision Transformers", ICCV 2023, section
3. Shapes: D candidates, N tokens.
"""
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .precision import at_least_float32


def expected_count(logits: Tensor, candidates: Tensor) -> Tensor:
    """Mean of the ``(D, )`` candidates under the softmax of ``(..., D)`` logits, ``(...)``."""
    dtype = at_least_float32(logits.dtype)  # bfloat16 has no 1333
    return logits.to(dtype).softmax(dim=-1) @ candidates.to(dtype)


def keep_probability(logits: Tensor, candidates: Tensor, num_tokens: int) -> Tensor:
    """Probability ``(N, )``, descending from 1, that the token of each rank is kept.

    Differentiable in the ``(D, )`` logits; the ``(D, )`` candidates are counts, ascending.
    """
    # the token of rank k, 0 the most important, is kept by every count above k
    tail = logits.softmax(dim=0).flip(0).cumsum(dim=0).flip(0)
    tail = torch.cat([tail, tail.new_zeros(1)])
    ranks = torch.arange(num_tokens, device=logits.device, dtype=candidates.dtype)
    return tail[torch.searchsorted(candidates, ranks, right=True)]


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """The value of ``hard`` with the gradient of ``soft``."""
    # in this order: hard - soft + soft would round
    return hard + (soft - soft.detach())


def logits_of_mean(candidates: Tensor, mean: float) -> Tensor:
    """Logits of the flattest distribution over the candidates with a given mean.

    A mean in the middle gives equal probabilities, the paper's initialization; one that is not
    strictly between the first and the last of the ``(D, )`` ascending counts is a ``ValueError``.
    """
    counts = candidates.double()
    first, last = counts[0].item(), counts[-1].item()
    if not first < mean < last:
        raise ValueError(f'the mean must be in ({first:g}, {last:g}), but got {mean}')
    spread = (counts - mean) / (last - first)
    # the maximum-entropy distribution of a given mean is exp(tilt * count): bisect the tilt
    low, high = -1e5, 1e5
    for _ in range(100):
        tilt = (low + high) / 2
        excess = (spread * (tilt * spread).softmax(dim=0)).sum()
        low, high = (low, tilt) if excess > 0 else (tilt, high)
    return (tilt * spread).float()


Count = int | Tensor


def vit_macs(counts: Sequence[tuple[Count, Count]], merge_layers: Sequence[int], *,
             num_tokens: int, depth: int, embed_dims: int, hidden_dims: int, patch_values: int
             ) -> Any:
    """Multiply-adds of a vision transformer, without the head, whose blocks prune and merge.

    A multiply-add counts once, as in :func:`gaie_mmaction.benchmark.measure_complexity`.

    Args:
        counts (Sequence[tuple]): Number of tokens after pruning and after merging in each block
            of ``merge_layers``; integers, or differentiable scalars, as the result is then.
        merge_layers (Sequence[int]): Blocks that reduce, 0-based, ascending.
        num_tokens, depth, embed_dims, hidden_dims (int): Tokens of the embedding, blocks, channels
            of a token, and hidden ones of the MLP.
        patch_values (int): Number of input values per token.
    """
    tokens: Count = num_tokens
    macs: Count = num_tokens * patch_values * embed_dims
    left = dict(zip(merge_layers, counts))
    for block in range(depth):
        macs = macs + 4 * tokens * embed_dims**2 + 2 * tokens**2 * embed_dims  # attention
        if block in left:
            pruned, tokens = left[block]
            macs = macs + (pruned - tokens) * tokens * embed_dims  # matching
        macs = macs + 2 * tokens * embed_dims * hidden_dims  # MLP
    return macs

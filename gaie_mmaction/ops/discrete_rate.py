"""A token count that can be learnt: DiffRate's differentiable discrete proxy.

Shapes: D candidates, N tokens. Source: "DiffRate: Differentiable Compression Rate
for Efficient Vision Transformers", ICCV 2023, section 3.
"""
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def expected_count(logits: Tensor, candidates: Tensor) -> Tensor:
    """Mean count under the probabilities of the candidates.

    Args:
        logits (Tensor): ``(..., D)``, their softmax is the probability of each count.
        candidates (Tensor): ``(D, )`` counts.

    Returns:
        Tensor: ``(...)``, differentiable.
    """
    return logits.softmax(dim=-1) @ candidates.to(logits.dtype)


def keep_probability(logits: Tensor, candidates: Tensor, num_tokens: int) -> Tensor:
    """Probability that a token of a given rank is kept.

    The token of rank k, 0 the most important, is kept by every count above k.

    Args:
        logits (Tensor): ``(D, )``.
        candidates (Tensor): ``(D, )`` counts, ascending.
        num_tokens (int): N.

    Returns:
        Tensor: ``(N, )``, falling from 1, differentiable.
    """
    tail = logits.softmax(dim=0).flip(0).cumsum(dim=0).flip(0)
    tail = torch.cat([tail, tail.new_zeros(1)])
    ranks = torch.arange(num_tokens, device=logits.device, dtype=candidates.dtype)
    return tail[torch.searchsorted(candidates, ranks, right=True)]


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """The value of ``hard`` exactly, with the gradient of ``soft``."""
    return hard + (soft - soft.detach())


def logits_of_mean(candidates: Tensor, mean: float) -> Tensor:
    """Flattest distribution over the candidates that has a given mean.

    Of all distributions with that mean the one of the highest entropy is
    ``exp(tilt * count)``; the tilt is found by bisection. No tilt, equal
    probabilities, is the paper's start.

    Args:
        candidates (Tensor): ``(D, )`` counts, ascending, D > 1.
        mean (float): Strictly between the first and the last.

    Returns:
        Tensor: ``(D, )`` float32 logits.

    Raises:
        ValueError: If the mean is not between the ends.
    """
    counts = candidates.double()
    first, last = counts[0].item(), counts[-1].item()
    if not first < mean < last:
        raise ValueError(f'the mean must be in ({first:g}, {last:g}), but got {mean}')
    spread = (counts - mean) / (last - first)
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
    """Multiply-adds of a vision transformer whose blocks prune and then merge.

    Each is counted once, as :func:`gaie_mmaction.benchmark.measure_complexity` does,
    without the head.

    Args:
        counts (Sequence[tuple]): Tokens left after pruning and after merging of each
            block in ``merge_layers``; numbers or differentiable scalars.
        merge_layers (Sequence[int]): Those blocks, 0-based, ascending.
        num_tokens (int): Tokens of the embedding.
        depth (int): Blocks.
        embed_dims (int): C.
        hidden_dims (int): Channels inside the MLP.
        patch_values (int): Input values of one token.

    Returns:
        Tensor: Scalar (a number if the counts are numbers).
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

"""Token selection, matching and merging of GAIE as pure functions.

Shapes: B batch, N tokens, K kept tokens, C channels. Indices are ``int64``.
Source: "Enhancing Micro-gesture Classification via Global-Aware Importance Estimation in
Vision Transformer", CEUR-WS Vol-4168, section 3.
"""
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .precision import at_least_float32, no_autocast
from .tracing import is_exporting

# Similarities held at once, 8 MB in float32 on a CPU: at large batches the whole map would take
# hundreds. On a GPU launches count.
MATCH_VALUES = dict(cpu=2_000_000, other=64_000_000)
# Only what lies left of the diagonal is needed: low blocks leave out nearly half of the products.
DISTINCT_ROWS = 256
RATIO_STEPS = 10**12


def num_kept(num_tokens: int, keep_ratio: float) -> int:
    """Number of tokens that stay, ``K = ceil(keep_ratio * N)``.

    Args:
        num_tokens (int): N, at least 1.
        keep_ratio (float): Share that stays, in (0, 1], read to 12 decimal places.

    Returns:
        int: K, in [1, N], rounded up.

    Raises:
        ValueError: If ``num_tokens < 1`` or ``keep_ratio`` is outside (0, 1].
    """
    if num_tokens < 1:
        raise ValueError(f'num_tokens must be at least 1, but got {num_tokens}')
    if not 0 < keep_ratio <= 1:
        raise ValueError(f'keep_ratio must be in (0, 1], but got {keep_ratio}')
    # Integers: in floating point 0.55 * 100 is 55.000000000000007 and would keep 56 tokens.
    # torch.compile follows this expression, too.
    steps = max(1, round(keep_ratio * RATIO_STEPS))
    return -(-num_tokens * steps // RATIO_STEPS)


def select_tokens(importance: Tensor, num_keep: int) -> tuple[Tensor, Tensor]:
    """Split the tokens into the most important ones and the rest.

    Args:
        importance (Tensor): ``(B, N)``, higher = keep.
        num_keep (int): K, in [1, N].

    Returns:
        tuple[Tensor, Tensor]: ``keep_idx`` ``(B, K)`` and ``merge_idx`` ``(B, N - K)``, both
        ascending. Ties keep the earlier token.

    Raises:
        ValueError: If ``num_keep`` is outside [1, N].
    """
    num_tokens = importance.shape[1]
    if not 1 <= num_keep <= num_tokens:
        raise ValueError(f'num_keep must be in [1, {num_tokens}], the number of tokens, '
                         f'but got {num_keep}')
    # topk does not define which of several equal tokens it takes; a stable sort does
    order = importance.argsort(dim=1, descending=True, stable=True)
    return order[:, :num_keep].sort(dim=1).values, order[:, num_keep:].sort(dim=1).values


def gather_tokens(x: Tensor, idx: Tensor) -> Tensor:
    """Take ``(B, M, C)`` of ``(B, N, C)``, or ``(B, M)`` of ``(B, N)``, by ``idx`` ``(B, M)``."""
    if x.dim() == 2:
        return x.gather(1, idx)
    # index_select copies whole rows, gather one value at a time: several times slower on a CPU
    return x.flatten(0, 1).index_select(0, _flat_index(idx, x.shape[1])).unflatten(0, idx.shape)


def _flat_index(idx: Tensor, num_tokens: int) -> Tensor:
    """``(B, M)`` indices into ``(B, N, C)`` -> ``(B * M, )`` indices into ``(B * N, C)``."""
    first = torch.arange(len(idx), device=idx.device).unsqueeze(-1) * num_tokens
    return (idx + first).flatten()


@torch.no_grad()
def match_tokens(metric: Tensor, keep_idx: Tensor, merge_idx: Tensor) -> Tensor:
    """Find the kept token of highest cosine similarity for each background token.

    Not differentiable. Computed in float32 at least: in half precision the many near-equal tokens
    of a static background would tie.

    Args:
        metric (Tensor): ``(B, N, D)``, the features to compare.
        keep_idx (Tensor): ``(B, K)`` kept tokens.
        merge_idx (Tensor): ``(B, N - K)`` background tokens.

    Returns:
        Tensor: ``dst`` ``(B, N - K)``, a position in ``keep_idx``, in [0, K). Ties go to the
        earliest kept token. A token of norm zero has similarity 0 to all.
    """
    if not merge_idx.shape[1]:
        return merge_idx
    if is_exporting():
        return _match(metric, keep_idx, merge_idx)
    return _match_operator(metric, keep_idx, merge_idx)


def _match(metric: Tensor, keep_idx: Tensor, merge_idx: Tensor) -> Tensor:
    metric = metric.to(at_least_float32(metric.dtype))
    with no_autocast(metric.device):
        # only the kept side is normalised: a background token's norm scales its whole row
        kept = F.normalize(gather_tokens(metric, keep_idx), dim=-1).transpose(1, 2)  # (B, D, K)
        background = gather_tokens(metric, merge_idx)  # (B, N - K, D)
        most = MATCH_VALUES['cpu' if metric.device.type == 'cpu' else 'other']
        rows = max(1, most // (kept.shape[0] * kept.shape[2]))
        return torch.cat([(block @ kept).argmax(dim=-1) for block in background.split(rows, dim=1)],
                         dim=1)


# One operator to the compiler, which would unroll the blocks
_match_operator = torch.library.custom_op('gaie_mmaction::match_tokens', _match, mutates_args=())


@_match_operator.register_fake
def _matched_shape(metric: Tensor, keep_idx: Tensor, merge_idx: Tensor) -> Tensor:
    return torch.empty_like(merge_idx)


@torch.no_grad()
def distinctness(metric: Tensor, importance: Tensor) -> Tensor:
    """How little each token resembles any more important one: what density peaks call delta.

    A. Rodriguez and A. Laio, "Clustering by fast search and find of density peaks", Science 2014,
    with importance as density. Not differentiable; precision as in :func:`match_tokens`.

    Args:
        metric (Tensor): ``(B, N, D)``, the features to compare.
        importance (Tensor): ``(B, N)``; of equal tokens the earlier one counts as more important.

    Returns:
        Tensor: ``(B, N)``, 1 minus the highest cosine similarity, in [0, 2]; infinity for the most
        important token.
    """
    if is_exporting():
        return _distinctness(metric, importance)
    return _distinctness_operator(metric, importance)


def _distinctness(metric: Tensor, importance: Tensor) -> Tensor:
    metric = metric.to(at_least_float32(metric.dtype))
    order = importance.argsort(dim=1, descending=True, stable=True)
    batch, num_tokens, _ = metric.shape
    with no_autocast(metric.device):
        ranked = F.normalize(gather_tokens(metric, order), dim=-1)
        most = MATCH_VALUES['cpu' if metric.device.type == 'cpu' else 'other']
        rows, nearest = max(1, most // (batch * num_tokens)), []
        if metric.device.type == 'cpu':
            rows = min(rows, DISTINCT_ROWS)
        for first in range(0, num_tokens, rows):
            # the tokens before a block are more important; within it, those left of the diagonal
            block = ranked[:, first:first + rows]
            similarity = block @ ranked[:, :first + rows].transpose(1, 2)
            later = torch.ones_like(similarity[0, :, first:], dtype=torch.bool).triu()
            similarity[:, :, first:].masked_fill_(later, -torch.inf)
            nearest.append(similarity.amax(dim=-1))
        score = 1 - torch.cat(nearest, dim=1)
    return torch.empty_like(score).scatter(1, order, score)


_distinctness_operator = torch.library.custom_op(
    'gaie_mmaction::distinctness', _distinctness, mutates_args=())


@_distinctness_operator.register_fake
def _distinctness_shape(metric: Tensor, importance: Tensor) -> Tensor:
    return metric.new_empty(importance.shape, dtype=at_least_float32(metric.dtype))


def merge_tokens(x: Tensor, keep_idx: Tensor, merge_idx: Tensor, dst: Tensor,
                 weight: Tensor | None = None) -> Tensor:
    """Replace each kept token by the mean of itself and the tokens merged into it.

    Differentiable in ``x`` and ``weight``, not in the indices. Summed in float32 at least.

    Args:
        x (Tensor): ``(B, N, C)``.
        keep_idx (Tensor): ``(B, K)`` kept tokens.
        merge_idx (Tensor): ``(B, M)`` tokens that are merged.
        dst (Tensor): ``(B, M)``, the position in ``keep_idx`` that each one joins, in [0, K).
        weight (Tensor, optional): ``(B, N)``, non-negative, each group's sum positive: a weighted
            mean. Defaults to None, GAIE's plain mean.

    Returns:
        Tensor: ``(B, K, C)`` in the dtype of ``x`` and the order of ``keep_idx``.
    """
    if is_exporting():
        return _merge(x, keep_idx, merge_idx, dst, weight)[0]
    return _merge_operator(x, keep_idx, merge_idx, dst, weight)[0]


def _merge(x: Tensor, keep_idx: Tensor, merge_idx: Tensor, dst: Tensor,
           weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """Means ``(B, K, C)`` and weights ``(B, K)`` of the groups."""
    dtype = at_least_float32(x.dtype)
    if weight is None:
        weight = x.new_ones(x.shape[:2], dtype=dtype)
        weighted = x
    else:
        weight = weight.to(dtype)
        weighted = x.to(dtype) * weight.unsqueeze(-1)
    kept = gather_tokens(weighted, keep_idx).to(dtype)  # (B, N, C) -> (B, K, C)
    merged = gather_tokens(weighted, merge_idx).to(dtype)  # (B, N, C) -> (B, M, C)
    total = merge_sizes(weight, keep_idx, merge_idx, dst)
    return (scatter_add_tokens(kept, dst, merged) / total.unsqueeze(-1)).to(x.dtype), total


# One operator: compiled by Inductor, the sum would be made of atomics on a GPU, in random order.
@torch.library.custom_op('gaie_mmaction::merge_tokens', mutates_args=())
def _merge_operator(x: Tensor, keep_idx: Tensor, merge_idx: Tensor, dst: Tensor,
                    weight: Tensor | None) -> tuple[Tensor, Tensor]:
    if x.device.type == 'cuda':
        from . import triton_merging  # imports Triton, if there is one
        if triton_merging.is_supported(x):
            return triton_merging.triton_merge(x, keep_idx, merge_idx, dst, weight)
    return _merge(x, keep_idx, merge_idx, dst, weight)


@_merge_operator.register_fake
def _merged_shapes(x: Tensor, keep_idx: Tensor, merge_idx: Tensor, dst: Tensor,
                   weight: Tensor | None) -> tuple[Tensor, Tensor]:
    batch, num_keep = keep_idx.shape
    return (x.new_empty(batch, num_keep, x.shape[2]),
            x.new_empty(batch, num_keep, dtype=at_least_float32(x.dtype)))


def _save_for_backward(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
    x, keep_idx, merge_idx, dst, weight = inputs
    merged, total = output
    ctx.mark_non_differentiable(total)
    only_x = (None, None, None)
    values = only_x if weight is None else (x, weight, merged)
    ctx.save_for_backward(keep_idx, merge_idx, dst, total, *values)
    ctx.num_tokens, ctx.dtype = x.shape[1], x.dtype


def _merge_backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    """Each token gets the gradient of its group's mean: a copy, where autograd would add."""
    keep_idx, merge_idx, dst, total, x, weight, merged = ctx.saved_tensors
    grad = grad.to(total.dtype) / total.unsqueeze(-1)  # (B, K, C)
    order = _flat_index(torch.cat([keep_idx, merge_idx], dim=1), ctx.num_tokens)

    def spread(t: Tensor) -> Tensor:  # (B, K, C) -> (B, N, C), zeros outside of all groups
        rows = torch.cat([t, gather_tokens(t, dst)], dim=1).flatten(0, 1)
        zeros = t.new_zeros(len(t) * ctx.num_tokens, t.shape[2])
        return zeros.index_copy(0, order, rows).unflatten(0, (len(t), ctx.num_tokens))

    grad_x, grad_weight = spread(grad), None
    if weight is not None:
        if ctx.needs_input_grad[4]:
            grad_weight = (grad_x * (x - spread(merged.to(grad.dtype)))).sum(-1).to(weight.dtype)
        grad_x = grad_x * weight.unsqueeze(-1)
    return grad_x.to(ctx.dtype), None, None, None, grad_weight


_merge_operator.register_autograd(_merge_backward, setup_context=_save_for_backward)


def scatter_add_tokens(x: Tensor, dst: Tensor, added: Tensor) -> Tensor:
    """Deterministic scatter-add of tokens ``(B, M, C)`` to ``(B, K, C)`` by ``dst`` ``(B, M)``."""
    if is_exporting():  # ONNX has no counterpart of the two below
        return x.scatter_add(1, dst.unsqueeze(-1).expand_as(added), added)
    total, index, added = x.flatten(0, 1), _flat_index(dst, x.shape[1]), added.flatten(0, 1)
    if x.device.type == 'cpu':
        return total.index_add(0, index, added).view_as(x)
    # on a GPU index_add sums in random order; index_put sorts the indices first
    return total.index_put((index, ), added, accumulate=True).view_as(x)


def merge_sizes(size: Tensor, keep_idx: Tensor, merge_idx: Tensor, dst: Tensor) -> Tensor:
    """Add up how many original tokens each merged token stands for: ``(B, N)`` -> ``(B, K)``."""
    return gather_tokens(size, keep_idx).scatter_add(1, dst, gather_tokens(size, merge_idx))

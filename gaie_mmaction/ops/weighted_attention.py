"""Attention with a weight on each key, and a score of each token from the same pass.

What reducers need that :func:`attention_with_importance` does not give: the
sharpness of a token's own attention, and gradients to a mask of zeros and ones.

Shapes: B batch, h heads, N tokens, M queries of a block, d channels per head.
"""
import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .attention import check_qkv
from .precision import at_least_float32, no_autocast

SCORES = ('column_mean', 'sharpness')

# Queries handled at once: their (B, h, 128, N) is all that is ever held of the map.
QUERY_BLOCK = 128

# Limit of the exponent in the gradient to a hidden token's mask. The exact value is the token's
# attention over that of the visible ones, which overflows if it outweighs them by e^88.
MAX_EXPONENT = 30.


def weighted_attention(q: Tensor,
                       k: Tensor,
                       v: Tensor,
                       *,
                       scale: float | None = None,
                       size: Tensor | None = None,
                       mask: Tensor | None = None,
                       score: str = 'column_mean') -> tuple[Tensor, Tensor]:
    """Attention ``p_ij = w_j e_ij / sum_n w_n e_in`` with ``e = exp(scale * q k)``, and a score.

    The weight of a key is ``w = size * mask``. One pass over blocks of queries
    makes the output and the score; memory grows with N, not with N squared.

    Args:
        q, k, v (Tensor): ``(B, h, N, d)`` queries, keys and values.
        scale (float, optional): Factor of the logits. Defaults to ``d ** -0.5``.
        size (Tensor, optional): ``(B, N)``, positive: proportional attention, as a
            bias ``log(size)``. Defaults to None, all ones.
        mask (Tensor, optional): ``(B, N)`` of zeros and ones, at least one 1 per row.
            Its gradient is that of the weight, for zeros too: what the output would
            gain from a hidden token. Defaults to None, all ones.
        score (str): ``'column_mean'``: mean of ``p_ij`` over heads and visible
            queries i. ``'sharpness'``: for each query i, log N minus the entropy of
            its plain attention ``e_ij / sum_n e_in``, mean over heads: 0 for uniform
            attention, log N for a single key (vid-TLDR, section 3, but for the
            constant). Neither mask nor size enters it. Defaults to ``'column_mean'``.

    Returns:
        tuple[Tensor, Tensor]: The output ``(B, h, N, d)`` in the dtype of ``v``, and
        the score ``(B, N)``, float32, non-negative and detached.

    Raises:
        ValueError: If the score is unknown or the shapes do not fit.
    """
    if score not in SCORES:
        raise ValueError(f'score must be one of {SCORES}, but got {score!r}')
    check_qkv(q, k, v)
    for name, tensor in (('size', size), ('mask', mask)):
        if tensor is not None and tensor.shape != (q.shape[0], q.shape[2]):
            raise ValueError(f'{name} must have the shape (B, N) = {(q.shape[0], q.shape[2])}, '
                             f'but got {tuple(tensor.shape)}')
    weight = size if mask is None else mask if size is None else size * mask
    scale = q.shape[-1]**-0.5 if scale is None else scale
    visible = None if mask is None else mask.detach()
    with no_autocast(q.device):
        return _WeightedAttention.apply(q, k, v, weight, visible, scale, score)


def _logits(q: Tensor, k: Tensor, scale: float) -> Tensor:
    """``(B, h, M, N)`` in float32 at least: rounded logits would misplace probabilities."""
    dtype = at_least_float32(q.dtype)
    return (q.to(dtype) * scale) @ k.to(dtype).transpose(-2, -1)


def _weigh(logits: Tensor, weight: Tensor | None) -> Tensor:
    return logits if weight is None else logits + weight.to(logits.dtype).log()[:, None, None, :]


def _sharpness(attn: Tensor) -> Tensor:
    """``(B, h, M, N)`` plain attention -> ``(B, M)``, log N minus the entropy of the head mean."""
    attn = attn.mean(dim=1)
    return (math.log(attn.shape[-1]) + torch.xlogy(attn, attn).sum(dim=-1)).clamp(min=0)


class _WeightedAttention(torch.autograd.Function):
    """Blocks of queries; the backward pass makes their probabilities again."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, weight: Tensor | None,
                visible: Tensor | None, scale: float, score: str) -> tuple[Tensor, Tensor]:
        parts, scores = [], []
        rows = torch.ones_like(q[:, 0, :, 0]) if visible is None else visible.to(q.dtype)  # (B, N)
        for queries, row in zip(q.split(QUERY_BLOCK, dim=2), rows.split(QUERY_BLOCK, dim=1)):
            logits = _logits(queries, k, scale)
            attn = _weigh(logits, weight).softmax(dim=-1)
            parts.append(attn.to(v.dtype) @ v)
            if score == 'sharpness':
                scores.append(_sharpness(attn if weight is None else logits.softmax(dim=-1)))
            else:
                scores.append((attn.mean(dim=1) * row.unsqueeze(-1)).sum(dim=1))
        out = torch.cat(parts, dim=2)
        if score == 'sharpness':
            importance = torch.cat(scores, dim=1)
        else:
            importance = sum(scores) / rows.sum(dim=1, keepdim=True, dtype=scores[0].dtype)
        importance = importance.float()
        ctx.save_for_backward(q, k, v, weight, out)
        ctx.scale = scale
        ctx.mark_non_differentiable(importance)
        return out, importance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, weight, out = ctx.saved_tensors
        # row sums of P * dP: what the softmax takes off every logit's gradient
        row_sum = (grad_out * out).sum(dim=-1, keepdim=True)
        grad_q = []
        # sums over many blocks: in half precision they would lose the small terms
        grad_k, grad_v = (torch.zeros_like(t, dtype=at_least_float32(t.dtype)) for t in (k, v))
        grad_weight = torch.zeros_like(weight) if ctx.needs_input_grad[3] else None
        blocks = (t.split(QUERY_BLOCK, dim=2) for t in (q, grad_out, row_sum))
        for queries, grad, row in zip(*blocks):
            logits = _logits(queries, k, ctx.scale)  # (B, h, M, N)
            weighed = _weigh(logits, weight)
            attn = weighed.softmax(dim=-1)
            slope = grad @ v.transpose(-2, -1) - row
            grad_v += attn.to(v.dtype).transpose(-2, -1) @ grad
            if grad_weight is not None:
                log_sum = weighed.logsumexp(dim=-1, keepdim=True)
                share = (logits - log_sum).clamp(max=MAX_EXPONENT).exp()
                grad_weight += (share * slope).sum(dim=(1, 2)).to(weight.dtype)
            grad_logits = (attn * slope * ctx.scale).to(q.dtype)
            grad_q.append(grad_logits @ k)
            grad_k += grad_logits.transpose(-2, -1) @ queries
        return (torch.cat(grad_q, dim=2), grad_k.to(k.dtype), grad_v.to(v.dtype), grad_weight,
                None, None, None)

"""Attention that also tells how much each token is attended to.

Letters: B batch, h heads, N tokens, d channels of one head.
"""
from typing import Optional, Tuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .precision import at_least_float32, no_autocast

BACKENDS = ('auto', 'eager', 'chunked')

# Queries handled at once by the chunked backend. Their probabilities, (B, h, 128, N), are
# all that is ever held of the attention map; smaller blocks make the products inefficient.
QUERY_BLOCK = 128


def attention_with_importance(q: Tensor,
                              k: Tensor,
                              v: Tensor,
                              *,
                              scale: Optional[float] = None,
                              bias: Optional[Tensor] = None,
                              backend: str = 'auto') -> Tuple[Tensor, Tensor]:
    """Softmax attention and the column mean of its map.

    The importance of token j is the mean, over heads and over all queries i, of
    ``softmax_j(scale * q_i k_j + bias_j)`` (GAIE paper, section 3).

    Args:
        q (Tensor): ``(B, h, N, d)`` queries.
        k (Tensor): ``(B, h, N, d)`` keys.
        v (Tensor): ``(B, h, N, d)`` values.
        scale (float, optional): Factor of the logits. Defaults to ``d ** -0.5``.
        bias (Tensor, optional): ``(B, N)``, added to every query's logits (the
            log of the token sizes gives proportional attention). Defaults to None.
        backend (str): ``'eager'`` holds the whole map of all heads (the
            reference), ``'chunked'`` holds a block of queries, forward and
            backward; ``'auto'`` is the fastest one that fits. Defaults to ``'auto'``.

    Returns:
        tuple[Tensor, Tensor]: The attention's output ``(B, h, N, d)`` in the dtype
        of ``v``, and the importance ``(B, N)``, float32 and detached. Each row of
        the importance is non-negative and sums to 1.

    Raises:
        ValueError: If the backend is unknown or the shapes do not fit.
    """
    if backend not in BACKENDS:
        raise ValueError(f'backend must be one of {BACKENDS}, but got {backend!r}')
    if q.dim() != 4 or q.shape != k.shape or q.shape != v.shape:
        raise ValueError('q, k and v must share one shape (B, heads, N, d), but got '
                         f'{tuple(q.shape)}, {tuple(k.shape)} and {tuple(v.shape)}')
    if bias is not None and bias.shape != (q.shape[0], q.shape[2]):
        raise ValueError(f'bias must have the shape (B, N) = {(q.shape[0], q.shape[2])}, '
                         f'but got {tuple(bias.shape)}')
    scale = q.shape[-1]**-0.5 if scale is None else scale
    attend = _eager if backend == 'eager' else _ChunkedAttention.apply
    with no_autocast(q.device):
        return attend(q, k, v, bias, scale)


def _probabilities(q: Tensor, k: Tensor, bias: Optional[Tensor], scale: float) -> Tensor:
    """Attention map ``(B, h, M, N)`` of M queries, in float32 at least.

    The logits are float32 too: rounded to bfloat16, a logit of 10 is off by 0.03
    and its probability by 3 %.
    """
    dtype = at_least_float32(q.dtype)
    logits = (q.to(dtype) * scale) @ k.to(dtype).transpose(-2, -1)
    if bias is not None:
        logits = logits + bias[:, None, None, :]
    return logits.softmax(dim=-1)


def _eager(q: Tensor, k: Tensor, v: Tensor, bias: Optional[Tensor],
           scale: float) -> Tuple[Tensor, Tensor]:
    attn = _probabilities(q, k, bias, scale)
    return attn.to(v.dtype) @ v, attn.detach().mean(dim=(1, 2)).float()


class _ChunkedAttention(torch.autograd.Function):
    """Blocks of queries, so that memory grows with N and not with N squared.

    One pass makes the output and adds to the column sums while a block's
    probabilities are at hand. The backward pass makes them again, block by block.
    """

    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor, v: Tensor, bias: Optional[Tensor],
                scale: float) -> Tuple[Tensor, Tensor]:
        batch, heads, num_tokens, _ = q.shape
        blocks = []
        column_sum = q.new_zeros(batch, num_tokens, dtype=at_least_float32(q.dtype))
        for queries in q.split(QUERY_BLOCK, dim=2):
            attn = _probabilities(queries, k, bias, scale)
            column_sum += attn.sum(dim=(1, 2))
            blocks.append(attn.to(v.dtype) @ v)
        out = torch.cat(blocks, dim=2)
        importance = (column_sum / (heads * num_tokens)).float()
        ctx.save_for_backward(q, k, v, bias, out)
        ctx.scale = scale
        ctx.mark_non_differentiable(importance)
        return out, importance

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_out: Tensor, _) -> Tuple[Optional[Tensor], ...]:
        q, k, v, bias, out = ctx.saved_tensors
        scale = ctx.scale
        # row sums of P * dP: what the softmax takes off every logit's gradient
        delta = (grad_out * out).sum(dim=-1, keepdim=True)
        grad_q = []
        # sums over many blocks: in half precision they would lose the small terms
        grad_k, grad_v = (torch.zeros_like(t, dtype=at_least_float32(t.dtype)) for t in (k, v))
        grad_bias = None if bias is None else torch.zeros_like(bias)
        for queries, grad, row in zip(*(t.split(QUERY_BLOCK, dim=2) for t in (q, grad_out, delta))):
            attn = _probabilities(queries, k, bias, scale)  # (B, h, M, N)
            grad_v += attn.to(v.dtype).transpose(-2, -1) @ grad
            grad_logits = attn * (grad @ v.transpose(-2, -1) - row)
            if grad_bias is not None:
                grad_bias += grad_logits.sum(dim=(1, 2)).to(bias.dtype)
            grad_logits = (grad_logits * scale).to(q.dtype)
            grad_q.append(grad_logits @ k)
            grad_k += grad_logits.transpose(-2, -1) @ queries
        return torch.cat(grad_q, dim=2), grad_k.to(k.dtype), grad_v.to(v.dtype), grad_bias, None

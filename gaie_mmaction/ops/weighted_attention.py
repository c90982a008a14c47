"""Attention with a weight on each key, and a score of each token from the same pass.

What reducers need that :func:`attention_with_importance` does not give: the
sharpness of a token's own attention, and gradients to a mask of zeros and ones.

Shapes: B batch, h heads, N tokens, M queries of a block, d channels per head.
"""
import math

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

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
    scale = q.shape[-1]**-0.5 if scale is None else scale
    rows = torch.ones_like(q[:, 0, :, 0]) if mask is None else mask.detach().to(q.dtype)  # (B, N)
    outs, scores = [], []
    with no_autocast(q.device):
        # float32 at least: rounded logits would misplace probabilities, and gradients, which are
        # sums over many blocks, would lose the small terms
        dtype = at_least_float32(q.dtype)
        keys, values = k.to(dtype), v.to(dtype)
        for queries, row in zip(q.split(QUERY_BLOCK, dim=2), rows.split(QUERY_BLOCK, dim=1)):
            block = (queries, keys, values, size, mask, row, scale, score)
            # the backward pass makes the probabilities again
            out, part = (checkpoint(_attend, *block, use_reentrant=False, preserve_rng_state=False)
                         if torch.is_grad_enabled() else _attend(*block))
            outs.append(out)
            scores.append(part)
        if score == 'sharpness':
            importance = torch.cat(scores, dim=1)
        else:
            importance = sum(scores) / rows.sum(dim=1, keepdim=True, dtype=dtype)
    return torch.cat(outs, dim=2).to(v.dtype), importance.float()


def _attend(q: Tensor, k: Tensor, v: Tensor, size: Tensor | None, mask: Tensor | None,
            row: Tensor, scale: float, score: str) -> tuple[Tensor, Tensor]:
    """Output ``(B, h, M, d)`` of a block, and its sharpness ``(B, M)`` or column sums ``(B, N)``.

    ``row`` is ``(B, M)``, whether a query is visible.
    """
    logits = (q.to(k.dtype) * scale) @ k.transpose(-2, -1)  # (B, h, M, N)
    weighed = logits if size is None else logits + size.to(k.dtype).log()[:, None, None, :]
    if mask is None:
        attn = weighed.softmax(dim=-1)
    else:
        # not by a bias of -inf, through which the zeros of the mask would get no gradient
        weight = mask.to(k.dtype)[:, None, None, :]
        top = weighed.detach().masked_fill(weight == 0, -torch.inf).amax(dim=-1, keepdim=True)
        attn = weight * (weighed - top).clamp(max=MAX_EXPONENT).exp()
        attn = attn / attn.sum(dim=-1, keepdim=True)
    out = attn.to(q.dtype) @ v.to(q.dtype)
    with torch.no_grad():
        if score != 'sharpness':
            return out, (attn.mean(dim=1) * row.unsqueeze(-1)).sum(dim=1)
        # of the attention without weights: log N minus the entropy of the heads' mean
        plain = (attn if mask is None and size is None else logits.softmax(dim=-1)).mean(dim=1)
        entropy = torch.special.entr(plain).sum(dim=-1)
        return out, (math.log(plain.shape[-1]) - entropy).clamp(min=0)

"""Attention that also returns how much each token is attended to.

Shapes: B batch, h heads, N tokens, d channels per head.
"""
import math
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor

from . import flash_attention
from .chunked_attention import chunked_attention
from .precision import at_least_float32, no_autocast
from .tracing import is_exporting

BACKENDS = ('auto', 'eager', 'chunked', 'flash', 'triton')


def attention_with_importance(q: Tensor,
                              k: Tensor,
                              v: Tensor,
                              *,
                              scale: float | None = None,
                              bias: Tensor | None = None,
                              backend: str = 'auto',
                              importance_queries: int | None = None) -> tuple[Tensor, Tensor]:
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
        backend (str): All give the same, and only ``'eager'`` holds the map, of all heads.

            - ``'eager'``: the reference.
            - ``'chunked'``: by blocks of the map, on any device. Where gradients are needed,
              PyTorch's fused attention makes the output and its gradient, and the blocks the
              importance alone.
            - ``'flash'``: PyTorch's fused attention for CPUs, twice; for bfloat16 on a CPU
              that multiplies it.
            - ``'triton'``: own kernels, on a GPU with Triton; gradients as in ``'chunked'``.
            - ``'auto'``: the fastest one that fits. Defaults to ``'auto'``.
        importance_queries (int, optional): Estimate the importance from M of the N queries, see
            :func:`strided_queries`, beside PyTorch's fused attention; the backend is then that of
            the importance, ``'auto'``, ``'eager'`` or ``'chunked'``. Defaults to None: from all,
            as for ``M >= N``.

    Returns:
        tuple[Tensor, Tensor]: The attention's output ``(B, h, N, d)`` in the dtype
        of ``v``, and the importance ``(B, N)``, float32 and detached. Each row of
        the importance is non-negative and sums to 1.

    Raises:
        ValueError: If the backend is unknown or does not fit, the shapes do not fit, or
            ``importance_queries < 1``.
    """
    if backend not in BACKENDS:
        raise ValueError(f'backend must be one of {BACKENDS}, but got {backend!r}')
    check_qkv(q, k, v)
    if bias is not None and bias.shape != (q.shape[0], q.shape[2]):
        raise ValueError(f'bias must have the shape (B, N) = {(q.shape[0], q.shape[2])}, '
                         f'but got {tuple(bias.shape)}')
    scale = q.shape[-1]**-0.5 if scale is None else scale
    if importance_queries is not None and importance_queries < q.shape[2]:
        return _attend_and_estimate(q, k, v, bias, scale, backend, importance_queries)
    if backend == 'auto':
        backend = _fastest(q, bias)
    with no_autocast(q.device):
        if backend == 'eager':
            return _eager(q, k, v, bias, scale)
        if backend == 'flash':
            return flash_attention.flash_attention(q, k, v, bias, scale)
        attend = chunked_attention if backend == 'chunked' else _triton().triton_attention
        needs_gradient = _needs_gradient(q, k, v, bias)
        # with a gradient no values: the importance alone
        out, importance = attend(q.detach(), k.detach(), None if needs_gradient else v.detach(),
                                 None if bias is None else bias.detach(), scale)
        return _fused(q, k, v, bias, scale) if out is None else out, importance


def strided_queries(num_tokens: int, num_queries: int) -> list[int]:
    """Indices of M of N queries, spread over space and time.

    The stride has no common factor with N, so that no place, row or frame of the grid is
    preferred and no query is taken twice.

    Args:
        num_tokens (int): N.
        num_queries (int): M, in [1, N].

    Returns:
        list[int]: M different indices.

    Raises:
        ValueError: If ``num_queries`` is outside [1, N].
    """
    if not 1 <= num_queries <= num_tokens:
        raise ValueError(f'importance_queries must be at least 1, but got {num_queries}')
    stride = num_tokens // num_queries
    while math.gcd(stride, num_tokens) > 1:
        stride += 1
    return [index * stride % num_tokens for index in range(num_queries)]


def _attend_and_estimate(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, scale: float,
                         backend: str, num_queries: int) -> tuple[Tensor, Tensor]:
    index = torch.tensor(strided_queries(q.shape[2], num_queries), device=q.device)
    if backend not in ('auto', 'eager', 'chunked'):
        raise ValueError(f'importance_queries does not go with backend {backend!r}: take '
                         "'auto', 'eager' or 'chunked'")
    with no_autocast(q.device):
        rows, keys = q.detach().index_select(2, index), k.detach()
        shift = None if bias is None else bias.detach()
        if backend == 'eager' or is_exporting():
            importance = _eager(rows, keys, v.detach(), shift, scale)[1]
        else:
            importance = chunked_attention(rows, keys, None, shift, scale)[1]
        return _fused(q, k, v, bias, scale), importance


def _fused(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, scale: float) -> Tensor:
    mask = None if bias is None else bias[:, None, None].to(q.dtype)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)


def check_qkv(q: Tensor, k: Tensor, v: Tensor) -> None:
    """Refuse queries, keys and values that do not share one shape of four dimensions.

    Raises:
        ValueError: With the three shapes.
    """
    if q.dim() != 4 or q.shape != k.shape or q.shape != v.shape:
        raise ValueError('q, k and v must share one shape (B, heads, N, d), but got '
                         f'{tuple(q.shape)}, {tuple(k.shape)} and {tuple(v.shape)}')


def _triton() -> ModuleType:
    from . import triton_attention  # takes half a second where Triton is installed: on a GPU alone
    return triton_attention


def _fastest(q: Tensor, bias: Tensor | None) -> str:
    if is_exporting():
        return 'eager'  # the others are blockwise, or use operators that ONNX lacks
    if q.device.type == 'cuda' and _triton().is_supported(q):
        return 'triton'
    if flash_attention.is_profitable(q) and not _needs_gradient(bias):
        return 'flash'
    return 'chunked'


def _needs_gradient(*tensors: Tensor | None) -> bool:
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


def _eager(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None,
           scale: float) -> tuple[Tensor, Tensor]:
    # float32 at least: rounded to bfloat16, a logit of 10 is off by 0.03, its probability by 3 %
    dtype = at_least_float32(q.dtype)
    logits = (q.to(dtype) * scale) @ k.to(dtype).transpose(-2, -1)
    if bias is not None:
        logits = logits + bias[:, None, None, :]
    attn = logits.softmax(dim=-1)
    return attn.to(v.dtype) @ v, attn.detach().mean(dim=(1, 2)).float()

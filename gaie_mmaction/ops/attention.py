"""Attention that also returns how much each token is attended to.

Shapes: B batch, h heads, N tokens, d channels per head.
"""
from types import ModuleType

import torch
from torch import Tensor

from . import flash_attention
from .chunked_attention import chunked_attention
from .fused_attention import fused_attention
from .precision import at_least_float32, no_autocast
from .tracing import is_exporting

BACKENDS = ('auto', 'eager', 'chunked', 'flash', 'triton')
GOLDEN = (5**.5 - 1) / 2


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
        q, k, v (Tensor): ``(B, h, N, d)`` queries, keys and values.
        scale (float, optional): Factor of the logits. Defaults to ``d ** -0.5``.
        bias (Tensor, optional): ``(B, N)``, added to every query's logits (the
            log of the token sizes gives proportional attention). Defaults to None.
        backend (str): All give the same, and only ``'eager'`` holds the map, of all heads.

            - ``'eager'``: the reference.
            - ``'chunked'``: by blocks of the map, on any device. Output and importance in one
              pass on a CPU without gradients.
            - ``'flash'``: PyTorch's fused attention for CPUs, twice; for bfloat16 on a CPU
              that multiplies it.
            - ``'triton'``: own kernels, on a GPU with Triton.
            - ``'auto'``: the fastest one that fits. Defaults to ``'auto'``.

            Where nothing else is said the output is PyTorch's fused attention, whose log-sum-exp
            the last two take for the importance.
        importance_queries (int, optional): Estimate the importance from M of the N queries, see
            :func:`spread_queries`, beside PyTorch's fused attention; the backend is then that of
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
    if backend == 'auto' and is_exporting():
        backend = 'eager'  # the others are blockwise, or use operators that ONNX lacks
    with no_autocast(q.device):
        if backend == 'eager':
            return _eager(q, k, v, bias, scale)
        if _in_one_pass(q, k, v, bias, backend):
            out, importance = chunked_attention(q, k, v, bias, scale)
            assert out is not None
            return out, importance
        out, log_sum = fused_attention(q, k, v, bias, scale)
        if backend == 'auto':
            backend = _fastest(q, log_sum)
        with torch.no_grad():
            q, k, bias = q.detach(), k.detach(), None if bias is None else bias.detach()
            if backend == 'triton':
                return out, _triton().triton_column_mean(q, k, log_sum, bias, scale)
            if backend == 'flash':
                return out, flash_attention.flash_column_mean(q, k, log_sum, bias, scale)
            return out, chunked_attention(q, k, None, bias, scale)[1]


def _in_one_pass(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, backend: str) -> bool:
    """Whether to multiply by the values where the blocks of the map are: in a CPU's caches."""
    if backend not in ('auto', 'chunked') or q.device.type not in ('cpu', 'meta'):
        return False
    if backend == 'auto' and flash_attention.is_profitable(q):
        return False
    return not (torch.is_grad_enabled() and any(
        t is not None and t.requires_grad for t in (q, k, v, bias)))


def _fastest(q: Tensor, log_sum: Tensor | None) -> str:
    if q.device.type == 'cuda' and _triton().is_supported(q):
        return 'triton'
    return 'flash' if log_sum is not None and flash_attention.is_profitable(q) else 'chunked'


def spread_queries(num_tokens: int, num_queries: int,
                   device: torch.device | None = None) -> Tensor:
    """Indices ``(M, )`` of M of N queries, spread evenly over space and time.

    Token i is among them where the multiple i of the golden section has the smallest fractional
    part. Any run of tokens then holds about its share of them, whatever M and N are, and no place,
    row or frame of the grid is preferred. M outside [1, N] is a ``ValueError``.
    """
    if not 1 <= num_queries <= num_tokens:
        raise ValueError(f'importance_queries must be at least 1, but got {num_queries}')
    places = torch.arange(num_tokens, dtype=torch.float64, device=device) * GOLDEN
    return places.frac().argsort()[:num_queries]


def _attend_and_estimate(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, scale: float,
                         backend: str, num_queries: int) -> tuple[Tensor, Tensor]:
    index = spread_queries(q.shape[2], num_queries, q.device)
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
        return fused_attention(q, k, v, bias, scale)[0], importance


def check_qkv(q: Tensor, k: Tensor, v: Tensor) -> None:
    """Refuse queries, keys and values that do not share one shape of four dimensions."""
    if q.dim() != 4 or q.shape != k.shape or q.shape != v.shape:
        raise ValueError('q, k and v must share one shape (B, heads, N, d), but got '
                         f'{tuple(q.shape)}, {tuple(k.shape)} and {tuple(v.shape)}')


def _triton() -> ModuleType:
    from . import triton_attention  # takes half a second where Triton is installed: on a GPU alone
    return triton_attention


def _eager(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None,
           scale: float) -> tuple[Tensor, Tensor]:
    # float32 at least: rounded to bfloat16, a logit of 10 is off by 0.03, its probability by 3 %
    dtype = at_least_float32(q.dtype)
    logits = (q.to(dtype) * scale) @ k.to(dtype).transpose(-2, -1)
    if bias is not None:
        logits = logits + bias[:, None, None, :]
    attn = logits.softmax(dim=-1)
    return attn.to(v.dtype) @ v, attn.detach().mean(dim=(1, 2)).float()

"""Attention and its map's column mean on a GPU, by two kernels; Triton is optional.

The first kernel makes the output and each query's log-sum-exp, block by block of the map. The
second one makes the map's blocks again from it and sums their columns. Nothing is added
by atomics: a result is the same from run to run.

Shapes: B batch, h heads, N tokens, d channels per head. Logarithms are to base 2.
"""
import math
import os

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None

DTYPES = (torch.float16, torch.bfloat16, torch.float32)
HEAD_DIMS = (16, 128)  # least and most
LOG2_E = math.log2(math.e)
# Triton reads it when a kernel is defined
INTERPRETED = os.environ.get('TRITON_INTERPRET') == '1'


def fits(q: Tensor) -> bool:
    """Whether the kernels can take such queries, ``(B, h, N, d)``, on a GPU."""
    return q.device.type == 'cuda' and not _problem(q)


def triton_attention(q: Tensor, k: Tensor, v: Tensor | None, bias: Tensor | None,
                     scale: float) -> tuple[Tensor | None, Tensor]:
    """Output and importance, without a gradient.

    Args:
        q (Tensor): ``(B, h, N, d)`` queries; float16, bfloat16 or float32, d in [16, 128].
        k (Tensor): ``(B, h, N, d)`` keys.
        v (Tensor, optional): ``(B, h, N, d)`` values; None for the importance alone.
        bias (Tensor, optional): ``(B, N)``, added to every query's logits.
        scale (float): Factor of the logits.

    Returns:
        tuple: ``(B, h, N, d)`` in the dtype of ``v``, with the memory order (B, N, h, d), or
        None; and ``(B, N)`` float32.

    Raises:
        ValueError: If Triton is missing, or the dtype, d or the device does not fit.
    """
    problem = _problem(q)
    if problem:
        raise ValueError(f"backend 'triton' {problem}: take backend='auto'")
    batch, heads, num_tokens, dims = q.shape
    q, k = (t if t.stride(-1) == 1 else t.contiguous() for t in (q, k))
    with_output, with_bias = v is not None, bias is not None
    if v is None:
        v = out = k  # not touched
    else:
        v = v if v.stride(-1) == 1 else v.contiguous()
        out = v.new_empty(batch, num_tokens, heads, dims).transpose(1, 2)
    bias = q if bias is None else bias.float().contiguous() * LOG2_E
    log_sum = q.new_empty(batch, heads, num_tokens, dtype=torch.float32)
    column_mean = torch.empty_like(log_sum)
    exact = q.dtype == torch.float32
    rows, columns = (64, 32) if exact else (128, 64)
    shared = dict(
        num_tokens=num_tokens, heads=heads, dims=dims, scale=scale * LOG2_E,
        with_bias=with_bias, BLOCK_D=max(16, triton.next_power_of_2(dims)),
        PRECISION='ieee' if exact else 'tf32',
        WIDEN=INTERPRETED and q.dtype == torch.bfloat16, num_warps=4 if dims <= 64 else 8)
    _attend[(triton.cdiv(num_tokens, rows), batch * heads)](
        q, k, v, bias, out, log_sum, *q.stride()[:3], *k.stride()[:3], *v.stride()[:3],
        *out.stride()[:3], with_output=with_output, BLOCK_M=rows, BLOCK_N=columns, **shared)
    _average_columns[(triton.cdiv(num_tokens, rows), batch * heads)](
        q, k, bias, log_sum, column_mean, *q.stride()[:3], *k.stride()[:3],
        BLOCK_M=columns, BLOCK_N=rows, **shared)
    return out if with_output else None, column_mean.mean(dim=1)


def _problem(q: Tensor) -> str:
    """Why the kernels cannot take the queries; '' if they can."""
    if triton is None:
        return 'needs the package triton'
    if q.device.type != 'cuda' and not INTERPRETED:
        return f'needs tensors on a GPU, but got {q.device}'
    if q.dtype not in DTYPES:
        return f'takes {", ".join(map(str, DTYPES))}, but got {q.dtype}'
    if not HEAD_DIMS[0] <= q.shape[-1] <= HEAD_DIMS[1]:
        return f'takes heads of {HEAD_DIMS[0]} to {HEAD_DIMS[1]} channels, but got {q.shape[-1]}'
    return ''


if triton is not None:

    @triton.jit
    def _load(pointer, start, rows, channels, stride, num_tokens, dims):
        """Rows of one head, zeros outside of it."""
        inside = (rows < num_tokens)[:, None] & (channels < dims)[None, :]
        return tl.load(pointer + start + rows[:, None] * stride + channels[None, :], mask=inside,
                       other=0.)

    @triton.jit
    def _multiply(a, b, PRECISION: tl.constexpr, WIDEN: tl.constexpr):
        if WIDEN:  # the interpreter multiplies no bfloat16
            a = a.to(tl.float32)
            b = b.to(tl.float32)
        return tl.dot(a, b, input_precision=PRECISION)

    @triton.jit
    def _attend(q, k, v, bias, out, log_sum,
                q_batch, q_head, q_token, k_batch, k_head, k_token, v_batch, v_head, v_token,
                out_batch, out_head, out_token,
                num_tokens, heads, scale, dims: tl.constexpr, with_bias: tl.constexpr,
                with_output: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr,
                BLOCK_N: tl.constexpr, PRECISION: tl.constexpr, WIDEN: tl.constexpr):
        """A block of queries of one head against all keys."""
        clip = (tl.program_id(1) // heads).to(tl.int64)
        head = (tl.program_id(1) % heads).to(tl.int64)
        rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
        channels = tl.arange(0, BLOCK_D)
        queries = _load(q, clip * q_batch + head * q_head, rows, channels, q_token, num_tokens,
                        dims)
        top = tl.full([BLOCK_M], float('-inf'), tl.float32)
        total = tl.zeros([BLOCK_M], tl.float32)
        result = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
        for start in range(0, num_tokens, BLOCK_N):
            columns = start + tl.arange(0, BLOCK_N)
            keys = _load(k, clip * k_batch + head * k_head, columns, channels, k_token,
                         num_tokens, dims)
            logits = _multiply(queries, tl.trans(keys), PRECISION, WIDEN) * scale
            if with_bias:
                logits += tl.load(bias + clip * num_tokens + columns, mask=columns < num_tokens,
                                  other=0.)[None, :]
            logits = tl.where((columns < num_tokens)[None, :], logits, float('-inf'))
            new_top = tl.maximum(top, tl.max(logits, 1))
            share = tl.exp2(logits - new_top[:, None])
            shrink = tl.exp2(top - new_top)
            total = total * shrink + tl.sum(share, 1)
            top = new_top
            if with_output:
                values = _load(v, clip * v_batch + head * v_head, columns, channels, v_token,
                               num_tokens, dims)
                result = result * shrink[:, None] + _multiply(
                    share.to(values.dtype), values, PRECISION, WIDEN)
        tl.store(log_sum + (clip * heads + head) * num_tokens + rows, top + tl.log2(total),
                 mask=rows < num_tokens)
        if with_output:
            inside = (rows < num_tokens)[:, None] & (channels < dims)[None, :]
            tl.store(out + clip * out_batch + head * out_head + rows[:, None] * out_token
                     + channels[None, :], (result / total[:, None]).to(out.dtype.element_ty),
                     mask=inside)

    @triton.jit
    def _average_columns(q, k, bias, log_sum, column_mean,
                         q_batch, q_head, q_token, k_batch, k_head, k_token,
                         num_tokens, heads, scale, dims: tl.constexpr, with_bias: tl.constexpr,
                         BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
                         PRECISION: tl.constexpr, WIDEN: tl.constexpr):
        """A block of keys of one head against all queries."""
        clip = (tl.program_id(1) // heads).to(tl.int64)
        head = (tl.program_id(1) % heads).to(tl.int64)
        columns = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
        channels = tl.arange(0, BLOCK_D)
        keys = _load(k, clip * k_batch + head * k_head, columns, channels, k_token, num_tokens,
                     dims)
        shift = tl.zeros([BLOCK_N], tl.float32)
        if with_bias:
            shift += tl.load(bias + clip * num_tokens + columns, mask=columns < num_tokens,
                             other=0.)
        total = tl.zeros([BLOCK_N], tl.float32)
        for start in range(0, num_tokens, BLOCK_M):
            rows = start + tl.arange(0, BLOCK_M)
            queries = _load(q, clip * q_batch + head * q_head, rows, channels, q_token,
                            num_tokens, dims)
            row_sum = tl.load(log_sum + (clip * heads + head) * num_tokens + rows,
                              mask=rows < num_tokens, other=float('inf'))
            logits = _multiply(keys, tl.trans(queries), PRECISION, WIDEN) * scale
            total += tl.sum(tl.exp2(logits + shift[:, None] - row_sum[None, :]), 1)
        tl.store(column_mean + (clip * heads + head) * num_tokens + columns, total / num_tokens,
                 mask=columns < num_tokens)

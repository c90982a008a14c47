"""The column mean of the attention map on a GPU, by Triton kernels.

One kernel computes the map block by block from each query's log-sum-exp, and sums its columns.
The log-sum-exp is PyTorch's, or that of another kernel where PyTorch returns none. There are no
atomics: results do not change from run to run.

Shapes: B batch, h heads, N tokens, d channels per head.
"""
import math
import os
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None

DTYPES = (torch.float16, torch.bfloat16, torch.float32)
HEAD_DIMS = (16, 128)  # least and most
MIN_CAPABILITY = (8, 0)  # older GPUs have no tensor-core instruction for these kernels
LOG2_E = math.log2(math.e)  # the kernels work to base 2, the GPU's own exponential
# Triton reads it when a kernel is defined
INTERPRETED = os.environ.get('TRITON_INTERPRET') == '1'


def is_supported(q: Tensor) -> bool:
    """Whether the kernels can take such queries, ``(B, h, N, d)``, on a GPU."""
    return q.device.type == 'cuda' and not unsupported_reason(q)


def unsupported_reason(q: Tensor) -> str:
    """Why the kernels cannot take the queries; '' if they can."""
    if triton is None:
        return 'needs the package triton'
    if q.device.type != 'cuda' and not INTERPRETED:
        return f'needs tensors on a GPU, but got {q.device}'
    if q.dtype not in DTYPES:
        return f'takes {", ".join(map(str, DTYPES))}, but got {q.dtype}'
    if not HEAD_DIMS[0] <= q.shape[-1] <= HEAD_DIMS[1]:
        return f'takes heads of {HEAD_DIMS[0]} to {HEAD_DIMS[1]} channels, but got {q.shape[-1]}'
    if q.device.type == 'cuda':
        capability = _capability(q.device)
        if capability < MIN_CAPABILITY:
            return f'needs compute capability {MIN_CAPABILITY}, but {q.device} has {capability}'
    return ''


@torch.compiler.assume_constant_result
def _capability(device: torch.device) -> tuple[int, int]:
    return torch.cuda.get_device_capability(device)


def device_guard(tensor: Tensor) -> AbstractContextManager:
    """Context in which the tensor's GPU is the current one: Triton launches there."""
    if tensor.device.type != 'cuda' or torch.compiler.is_dynamo_compiling():
        return nullcontext()  # compiled code has its own
    return torch.cuda.device(tensor.device)


def launch_options(dtype: torch.dtype, dims: int) -> tuple[dict, dict]:
    """Blocks, warps and stages of the two kernels, log-sum-exp and column mean, for d = ``dims``.

    The largest that neither exceed the shared memory of any GPU since sm_80 nor spill registers
    there: tests/test_ops/test_triton_aot.py compiles them all.
    """
    common = dict(dims=dims, BLOCK_D=max(16, triton.next_power_of_2(dims)),
                  WIDEN=INTERPRETED and dtype == torch.bfloat16)
    if dtype != torch.float32:
        common.update(PRECISION='tf32', num_warps=4 if dims <= 32 else 8, num_stages=2)
        return dict(common, BLOCK_M=128, BLOCK_N=64), dict(common, BLOCK_M=64, BLOCK_N=128)
    # three TF32 products have float32's accuracy; 'ieee' would not use the tensor cores
    common.update(PRECISION='tf32x3', num_warps=8, num_stages=2)
    if dims <= 64:
        return dict(common, BLOCK_M=64, BLOCK_N=32), dict(common, BLOCK_M=32, BLOCK_N=64)
    return dict(common, BLOCK_M=32, BLOCK_N=16), dict(common, BLOCK_M=16, BLOCK_N=64)


def triton_column_mean(q: Tensor, k: Tensor, log_sum: Tensor | None, bias: Tensor | None,
                       scale: float) -> Tensor:
    """Importance, without a gradient.

    Args:
        q, k (Tensor): ``(B, h, N, d)`` queries and keys; float16, bfloat16 or float32, d in
            [16, 128].
        log_sum (Tensor, optional): ``(B, h, N)`` float32, each query's log-sum-exp; None to
            compute it here.
        bias, scale: Same as in :func:`.attention.attention_with_importance`.

    Returns:
        Tensor: ``(B, N)`` float32.

    Raises:
        ValueError: If Triton is missing, or the dtype, d or the device does not fit.
    """
    reason = unsupported_reason(q)
    if reason:
        raise ValueError(f"backend 'triton' {reason}: take backend='auto'")
    batch, heads, num_tokens, dims = q.shape
    q, k = (t if t.stride(-1) == 1 else t.contiguous() for t in (q, k))
    with_bias, known = bias is not None, log_sum is not None
    bias = q if bias is None else bias.float().contiguous() * LOG2_E
    shape = (batch, heads, num_tokens)
    log_sum = q.new_empty(shape, dtype=torch.float32) if log_sum is None else log_sum.contiguous()
    column_mean = torch.empty_like(log_sum)
    sums, means = launch_options(q.dtype, dims)
    strides = (*q.stride()[:3], *k.stride()[:3])
    shared = dict(num_tokens=num_tokens, heads=heads, scale=scale * LOG2_E, with_bias=with_bias)
    with device_guard(q):
        if not known:
            _sum_rows[(triton.cdiv(num_tokens, sums['BLOCK_M']), batch * heads)](
                q, k, bias, log_sum, *strides, **shared, **sums)
        _average_columns[(triton.cdiv(num_tokens, means['BLOCK_N']), batch * heads)](
            q, k, bias, log_sum, column_mean, *strides, **shared, **means)
    return column_mean.mean(dim=1)


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
    def _sum_rows(q, k, bias, log_sum, q_batch, q_head, q_token, k_batch, k_head, k_token,
                  num_tokens, heads, scale, dims: tl.constexpr, with_bias: tl.constexpr,
                  BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
                  PRECISION: tl.constexpr, WIDEN: tl.constexpr):
        """The log-sum-exp of a block of queries of one head over all keys."""
        clip = (tl.program_id(1) // heads).to(tl.int64)
        head = (tl.program_id(1) % heads).to(tl.int64)
        rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
        channels = tl.arange(0, BLOCK_D)
        queries = _load(q, clip * q_batch + head * q_head, rows, channels, q_token, num_tokens,
                        dims)
        top = tl.full([BLOCK_M], float('-inf'), tl.float32)
        total = tl.zeros([BLOCK_M], tl.float32)
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
            # as long as all biases are -inf, so is the maximum: -inf - -inf would be NaN
            shift = tl.where(new_top == float('-inf'), 0., new_top)
            total = total * tl.exp2(top - shift) + tl.sum(tl.exp2(logits - shift[:, None]), 1)
            top = new_top
        tl.store(log_sum + (clip * heads + head) * num_tokens + rows,
                 (top + tl.log2(total)) * 0.6931471805599453, mask=rows < num_tokens)  # ln 2

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
            row_sum *= 1.4426950408889634  # log2 e
            logits = _multiply(keys, tl.trans(queries), PRECISION, WIDEN) * scale
            total += tl.sum(tl.exp2(logits + shift[:, None] - row_sum[None, :]), 1)
        tl.store(column_mean + (clip * heads + head) * num_tokens + columns, total / num_tokens,
                 mask=columns < num_tokens)

"""The merge on a GPU, by one Triton kernel: a program per kept token, without atomics.

Shapes: B batch, N tokens, K kept tokens, M merged tokens, C channels.
"""
import torch
from torch import Tensor

from .triton_attention import DTYPES, INTERPRETED, device_guard, triton

BLOCKS = dict(BLOCK_M=32, BLOCK_C=128)

if triton is not None:
    import triton.language as tl


def is_supported(x: Tensor) -> bool:
    """Whether the kernel can take such tokens, ``(B, N, C)``."""
    return (triton is not None and x.dtype in DTYPES
            and (x.device.type == 'cuda' or INTERPRETED))


def triton_merge(x: Tensor, keep_idx: Tensor, merge_idx: Tensor, dst: Tensor,
                 weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """Weighted means of the groups and their weights, without a gradient.

    Args:
        x (Tensor): ``(B, N, C)``.
        keep_idx, merge_idx, dst, weight: Same as in :func:`gaie_mmaction.ops.merge_tokens`.

    Returns:
        tuple[Tensor, Tensor]: ``(B, K, C)`` in the dtype of ``x``, and ``(B, K)`` float32.
    """
    (batch, num_tokens, channels), num_keep = x.shape, keep_idx.shape[1]
    x, keep_idx, merge_idx, dst = (t.contiguous() for t in (x, keep_idx, merge_idx, dst))
    out = x.new_empty(batch, num_keep, channels)
    total = x.new_empty(batch, num_keep, dtype=torch.float32)
    with_weight = weight is not None
    weight = total if weight is None else weight.float().contiguous()
    grid = (num_keep, batch, triton.cdiv(channels, BLOCKS['BLOCK_C']))
    with device_guard(x):
        _merge[grid](x, keep_idx, merge_idx, dst, weight, out, total, num_tokens,
                     num_keep, merge_idx.shape[1], channels, with_weight=with_weight, **BLOCKS)
    return out, total


if triton is not None:

    @triton.jit
    def _merge(x, keep_idx, merge_idx, dst, weight,
               out, total, num_tokens, num_keep, num_merge,
               dims, with_weight: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_C: tl.constexpr):
        """A block of channels of one kept token and of all that join it."""
        place = tl.program_id(0)
        clip = tl.program_id(1).to(tl.int64)
        channels = tl.program_id(2) * BLOCK_C + tl.arange(0, BLOCK_C)
        inside = channels < dims
        row = clip * num_tokens + tl.load(keep_idx + clip * num_keep + place)
        result = tl.load(x + row * dims + channels, mask=inside, other=0.).to(tl.float32)
        share = 1.
        if with_weight:
            share = tl.load(weight + row)
            result *= share
        for start in range(0, num_merge, BLOCK_M):
            slots = start + tl.arange(0, BLOCK_M)
            target = tl.load(dst + clip * num_merge + slots, mask=slots < num_merge, other=-1)
            joins = target == place
            if tl.max(joins.to(tl.int32), 0) > 0:  # few blocks hold tokens that join this one
                rows = clip * num_tokens + tl.load(merge_idx + clip * num_merge + slots,
                                                   mask=joins, other=0)
                values = tl.load(x + rows[:, None] * dims + channels[None, :],
                                 mask=joins[:, None] & inside[None, :], other=0.).to(tl.float32)
                shares = joins.to(tl.float32)
                if with_weight:
                    shares = tl.load(weight + rows, mask=joins, other=0.)
                result += tl.sum(values * shares[:, None], 0)
                share += tl.sum(shares, 0)
        slot = clip * num_keep + place
        tl.store(out + slot * dims + channels, (result / share).to(out.dtype.element_ty),
                 mask=inside)
        if tl.program_id(2) == 0:
            tl.store(total + slot, share)

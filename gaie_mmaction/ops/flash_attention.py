"""The column mean by PyTorch's fused attention for CPUs alone.

Shapes: B batch, h heads, N tokens, d channels per head.
"""
import torch
from torch import Tensor

from .fused_attention import FLASH, OPERATORS

# PyTorch tells what the processor can do from 2.11 on; without knowing, bfloat16 is not worth it
_CAPABILITIES = torch.cpu.get_capabilities() if hasattr(torch.cpu, 'get_capabilities') else {}
MULTIPLIES_BFLOAT16 = any(
    _CAPABILITIES.get(feature, False) for feature in ('amx_bf16', 'avx512_bf16'))


def is_profitable(q: Tensor) -> bool:
    """Whether this is the fastest way for queries ``(B, h, N, d)``.

    It multiplies the map twice more than needed, and multiplies in the dtype given: a gain for
    bfloat16 where the processor has instructions for it.
    """
    return q.device.type == 'cpu' and q.dtype == torch.bfloat16 and MULTIPLIES_BFLOAT16


def flash_column_mean(q: Tensor, k: Tensor, log_sum: Tensor | None, bias: Tensor | None,
                      scale: float) -> Tensor:
    """Importance by one more run of the fused attention, without a gradient.

    Keys and queries change places and minus the log-sum-exp ``l_i`` of query i is the bias: the
    log-sum-exp of ``s_ij - l_i`` over the queries i is the log of the sum of a head's column j.

    Args:
        q, k (Tensor): ``(B, h, N, d)`` queries and keys on the CPU.
        log_sum (Tensor): ``(B, h, N)``, from :func:`.fused_attention.fused_attention`.
        bias, scale: Same as in :func:`.attention.attention_with_importance`.

    Returns:
        Tensor: ``(B, N)`` float32.

    Raises:
        ValueError: If there is no log-sum-exp, or the tensors are not on the CPU.
    """
    if log_sum is None or q.device.type != 'cpu':
        raise ValueError(f"backend 'flash' needs PyTorch's fused attention for CPUs and tensors "
                         f'there, but PyTorch {torch.__version__} did not choose it for '
                         f"{q.dtype} on {q.device}: take backend='auto'")
    # (B, h, 1, N); laid out by rows, since PyTorch 2.7 misreads a transposed mask
    mask = (-log_sum).contiguous().unsqueeze(2)
    log_column = OPERATORS['cpu', FLASH](k, q, q, attn_mask=mask, scale=scale)[1]
    if bias is not None:
        log_column = log_column + bias[:, None]
    return log_column.exp().mean(dim=1).div(q.shape[2]).float()

"""The column mean by PyTorch's fused attention for CPUs alone.

Shapes: B batch, h heads, N tokens, d channels per head.
"""

import torch
from torch import Tensor

from .precision import at_least_float32

# Private: it returns what the public function computes and throws away, each row's log-sum-exp.
_OPERATOR = getattr(torch.ops.aten, '_scaled_dot_product_flash_attention_for_cpu', None)

# PyTorch tells what the processor can do from 2.11 on; without knowing, bfloat16 is not worth it
_CAPABILITIES = torch.cpu.get_capabilities() if hasattr(torch.cpu, 'get_capabilities') else {}
MULTIPLIES_BFLOAT16 = any(
    _CAPABILITIES.get(feature, False) for feature in ('amx_bf16', 'avx512_bf16'))


def is_profitable(q: Tensor) -> bool:
    """Whether this is the fastest way for such queries.

    It multiplies the map twice more than needed, and multiplies in the dtype given: a gain for
    bfloat16 where the processor has instructions for it, and PyTorch the operator.

    Args:
        q (Tensor): ``(B, h, N, d)``.
    """
    return (q.device.type == 'cpu' and q.dtype == torch.bfloat16 and _OPERATOR is not None
            and MULTIPLIES_BFLOAT16)


def flash_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None,
                    scale: float) -> tuple[Tensor, Tensor]:
    """Output and importance by two runs of the fused attention; differentiable.

    The first run gives the output and each query's log-sum-exp ``l_i`` over the keys. In the
    second, keys and queries change places and ``-l_i`` is the bias: the log-sum-exp of
    ``s_ij - l_i`` over the queries i is the log of the sum of a head's column j.

    Args:
        q (Tensor): ``(B, h, N, d)`` queries.
        k (Tensor): ``(B, h, N, d)`` keys.
        v (Tensor): ``(B, h, N, d)`` values.
        bias (Tensor, optional): ``(B, N)``, added to every query's logits; no gradient flows to it.
        scale (float): Factor of the logits.

    Returns:
        tuple[Tensor, Tensor]: ``(B, h, N, d)`` in the dtype of ``v``, and ``(B, N)`` float32.

    Raises:
        ValueError: If PyTorch has no such operator, or the tensors are not on the CPU.
    """
    if _OPERATOR is None or q.device.type != 'cpu':
        raise ValueError(f"backend 'flash' needs PyTorch's fused attention for CPUs and tensors "
                         f"there, but got tensors on {q.device} and PyTorch {torch.__version__}: "
                         "take backend='auto'")
    # biases of half precision stay float32; the operator reads any other dtype than these wrongly
    dtype = at_least_float32(q.dtype)
    bias = None if bias is None else bias.detach().to(dtype)
    mask = None if bias is None else bias[:, None, None]
    out, log_sum = _OPERATOR(q, k, v, attn_mask=mask, scale=scale)
    with torch.no_grad():
        # (B, h, 1, N); laid out by rows, since PyTorch 2.7 misreads a transposed mask
        mask = (-log_sum).to(dtype).contiguous().unsqueeze(2)
        log_column = _OPERATOR(k, q, v, attn_mask=mask, scale=scale)[1]
        if bias is not None:
            log_column = log_column + bias[:, None]
        return out, log_column.exp().mean(dim=1).div(q.shape[2]).float()

"""PyTorch's fused attention, with the log-sum-exp that its public function drops.

Shapes: B batch, h heads, N tokens, d channels per head.
"""
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend

from .precision import at_least_float32
from .tracing import is_exporting

FLASH, EFFICIENT, CUDNN = (getattr(SDPBackend, f'{name}_ATTENTION').value
                           for name in ('FLASH', 'EFFICIENT', 'CUDNN'))
# Private: by device and what PyTorch chooses there. Missing in a release, they are not used.
OPERATORS: dict[tuple[str, int], Any] = {
    key: getattr(torch.ops.aten, f'_scaled_dot_product_{name}', None) for key, name in {
        ('cpu', FLASH): 'flash_attention_for_cpu',
        ('cuda', FLASH): 'flash_attention',
        ('cuda', EFFICIENT): 'efficient_attention',
        ('cuda', CUDNN): 'cudnn_attention'}.items()}


def fused_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None,
                    scale: float) -> tuple[Tensor, Tensor | None]:
    """Output and log-sum-exp by the operator that PyTorch's function chooses; differentiable.

    Args:
        q, k, v (Tensor): ``(B, h, N, d)`` queries, keys and values.
        bias, scale: Same as in :func:`.attention.attention_with_importance`.

    Returns:
        tuple: ``(B, h, N, d)`` in the dtype of ``v``, and the natural logarithm of the sum of each
        query's exponentials, ``(B, h, N)``, float32 at least and detached. None instead where
        PyTorch takes no fused operator, pads the heads or rounds the bias.
    """
    on_cpu = q.device.type == 'cpu'
    # the CPU's operator misreads masks of half precision, the GPU's take the dtype of q alone
    dtype = at_least_float32(q.dtype) if on_cpu else q.dtype
    mask = None if bias is None else bias[:, None, None].to(dtype)  # (B, 1, 1, N)
    choice = SDPBackend.MATH.value if is_exporting() else _choose(q, k, v, mask)
    operator = OPERATORS.get((q.device.type, choice))
    # log(5) rounded to bfloat16 is off by 0.003, and so would be the sum
    rounded = bias is not None and not on_cpu and bias.dtype != dtype
    padded = choice == FLASH and not on_cpu and q.shape[-1] % 8
    if operator is None or rounded or padded:
        mask = None if mask is None else mask.to(q.dtype)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale), None
    options: dict[str, Any] = {}
    if on_cpu:
        options = dict(attn_mask=mask)
    elif choice != FLASH:  # which PyTorch chooses on a GPU only without a mask
        options = dict(attn_bias=mask, compute_log_sumexp=True)
        if mask is not None and choice == EFFICIENT:
            num_tokens = q.shape[2]  # reads rows whose strides 8 divides
            mask = F.pad(mask, (0, -num_tokens % 8))[..., :num_tokens]
            options['attn_bias'] = mask.expand(*q.shape[:3], num_tokens)
    out, log_sum = operator(q, k, v, scale=scale, **options)[:2]
    # (B, h, N), padded to a multiple of 32 or (B, h, N, 1)
    return out, log_sum.detach().flatten(2)[:, :, :q.shape[2]]


def _choose(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> int:
    if not torch.compiler.is_dynamo_compiling():
        return torch._fused_sdp_choice(q, k, v, attn_mask=mask)
    needs_gradient = [t is not None and t.requires_grad for t in (q, mask)]
    _, heads, num_tokens, dims = q.shape
    return _choose_compiled(heads, num_tokens, dims, q.dtype, q.device, torch.is_grad_enabled(),
                            None if mask is None else mask.dtype, *needs_gradient)


def _choose_compiled(heads: int, num_tokens: int, dims: int, dtype: torch.dtype,
                     device: torch.device, with_grad: bool, mask_dtype: torch.dtype | None,
                     q_needs_gradient: bool, mask_needs_gradient: bool) -> int:
    """Dynamo traces no operator that returns a number: it is asked about tensors of the shape."""
    with torch.set_grad_enabled(with_grad):
        q = torch.empty(1, heads, num_tokens, dims, dtype=dtype, device=device,
                        requires_grad=q_needs_gradient)
        mask = None if mask_dtype is None else torch.zeros(
            1, 1, 1, num_tokens, dtype=mask_dtype, device=device, requires_grad=mask_needs_gradient)
        return torch._fused_sdp_choice(q, q, q, attn_mask=mask)


# What torch.compiler.assume_constant_result sets; its import of Dynamo takes a second.
vars(_choose_compiled)['_dynamo_marked_constant'] = True

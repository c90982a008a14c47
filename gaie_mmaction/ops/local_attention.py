"""Local attention in time, in linear memory.

Shapes: B batch, h heads, T steps, d channels per head, R radius.
"""
import torch
import torch.nn.functional as F
from torch import Tensor


def local_attention(q: Tensor, k: Tensor, v: Tensor, valid: Tensor, radius: int) -> Tensor:
    """Attention of each step to the valid ones at most ``radius`` steps away.

    Args:
        q, k, v (Tensor): ``(B, h, T, d)``.
        valid (Tensor): ``(B, T)`` bool, False for padding.
        radius (int): R, at least 1.

    Returns:
        Tensor: ``(B, h, T, d)``; 0 where no step is in reach.
    """
    batch, heads, steps, dims = q.shape
    chunks = -(-steps // radius)
    padding = chunks * radius - steps
    # a chunk of R queries reaches into the chunk before and the one after: 3R keys, not T
    q = F.pad(q, (0, 0, 0, padding)).view(batch, heads, chunks, radius, dims)
    k, v = (F.pad(x, (0, 0, radius, padding + radius)).unfold(2, 3 * radius, radius)
            .transpose(-1, -2) for x in (k, v))  # (B, h, chunks, 3R, d)
    valid = F.pad(valid, (radius, padding + radius)).unfold(1, 3 * radius, radius)
    index = torch.arange(3 * radius, device=q.device)
    near = (index - radius - index[:radius, None]).abs() <= radius  # (R, 3R)
    mask = near & valid[:, None, :, None]  # (B, 1, chunks, R, 3R)
    # a row without any key would be NaN: it attends to all, and is cleared afterwards
    empty = ~mask.any(-1, keepdim=True)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask | empty)
    return out.masked_fill(empty, 0).view(batch, heads, -1, dims)[:, :, :steps]

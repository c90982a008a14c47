"""Which token holds each original token, through any sequence of reductions.

Shapes: B batch, N0 original tokens, N tokens before a reduction, K after it, C channels.
"""
import torch
from torch import Tensor


def new_index(keep_idx: Tensor, num_tokens: int, merge_idx: Tensor | None = None,
              dst: Tensor | None = None) -> Tensor:
    """Index of each token after a reduction.

    Args:
        keep_idx (Tensor): ``(B, K)`` int64 kept tokens, in [0, N), without repetition.
        num_tokens (int): N.
        merge_idx (Tensor, optional): ``(B, M)`` merged tokens. Defaults to None: the rest is
            dropped.
        dst (Tensor, optional): ``(B, M)``, the position in ``keep_idx`` that each merged token
            joins, in [0, K), or -1 if it is dropped.

    Returns:
        Tensor: ``(B, N)`` int64, in [0, K), or -1 for dropped tokens.
    """
    index = keep_idx.new_full((keep_idx.shape[0], num_tokens), -1)
    positions = torch.arange(keep_idx.shape[1], device=keep_idx.device).expand_as(keep_idx)
    index = index.scatter(1, keep_idx, positions)
    return index if merge_idx is None or dst is None else index.scatter(1, merge_idx, dst)


def update_source(source: Tensor, index: Tensor) -> Tensor:
    """Follow the original tokens through a reduction, ``(B, N0)`` int64 in and out.

    ``source`` is the token, in [0, N), that holds each original one, or -1 if it was dropped
    earlier; ``index`` is that of :func:`new_index`.
    """
    # gather has no index -1: clamp first, restore the dropped ones after
    return index.gather(1, source.clamp(min=0)).masked_fill(source < 0, -1)


def unmerge_tokens(x: Tensor, source: Tensor) -> Tensor:
    """Copy ``(B, K, C)`` tokens back to all original ones that they hold: ``(B, N0, C)``.

    ``source`` is ``(B, N0)`` int64, in [-1, K); a dropped token, -1, becomes zeros.
    """
    index = source.clamp(min=0).unsqueeze(-1).expand(-1, -1, x.shape[-1])
    return x.gather(1, index).masked_fill((source < 0).unsqueeze(-1), 0)

"""Following the original tokens through any reduction, and back to their places.

Letters: B batch, N0 original tokens, N tokens before a reduction, K after it, C channels.
"""
import torch
from torch import Tensor


def follow_source(source: Tensor, place: Tensor) -> Tensor:
    """Follow the original tokens through a reduction.

    Args:
        source (Tensor): ``(B, N0)`` int64, the token, in [0, N), that holds each
            original token, or -1 if it was dropped before.
        place (Tensor): ``(B, N)`` int64, where each token goes, in [0, K), or -1
            if it is dropped now.

    Returns:
        Tensor: ``(B, N0)`` int64, in [-1, K).
    """
    return torch.where(source < 0, -1, place.gather(1, source.clamp(min=0)))


def place_of_kept(keep_idx: Tensor, num_tokens: int) -> Tensor:
    """Where each token goes if all but the kept ones are dropped.

    Args:
        keep_idx (Tensor): ``(B, K)`` int64, in [0, N), no repetition.
        num_tokens (int): N.

    Returns:
        Tensor: ``(B, N)`` int64: the place in ``keep_idx``, or -1.
    """
    place = keep_idx.new_full((keep_idx.shape[0], num_tokens), -1)
    return place.scatter(1, keep_idx, torch.arange(keep_idx.shape[1],
                                                   device=keep_idx.device).expand_as(keep_idx))


def spread_tokens(x: Tensor, source: Tensor) -> Tensor:
    """Give each original token the features of the one that holds it.

    Args:
        x (Tensor): ``(B, K, C)``.
        source (Tensor): ``(B, N0)`` int64, in [-1, K).

    Returns:
        Tensor: ``(B, N0, C)``, zeros where the token was dropped.
    """
    index = source.clamp(min=0).unsqueeze(-1).expand(-1, -1, x.shape[-1])
    return x.gather(1, index).masked_fill((source < 0).unsqueeze(-1), 0)

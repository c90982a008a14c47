"""What a token reducer did with the tokens of one clip.

Letters: M merges, N0 original tokens, (T', H', W') their grid.
"""
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from torch import nn

from ..models import TokenReducer, TokenState


@dataclass(frozen=True)
class TokenMap:
    """Where each original token of one clip is after each merge.

    Attributes:
        importance (tuple): M arrays ``(T', H', W')`` float32 from before each merge: that
            of the token that holds each original token, non-negative, 0 where none is left;
            or None where the reducer uses none.
        kept (tuple[np.ndarray]): M arrays ``(T', H', W')`` bool: whether the original
            token is still in its own place.
        owner (tuple[np.ndarray]): M arrays ``(T', H', W')`` int64: the original place, in
            [0, N0), of the token that holds each original token; above that, one number a
            token, for tokens without a place; -1 where the original token was dropped.
    """
    importance: tuple[np.ndarray | None, ...]
    kept: tuple[np.ndarray, ...]
    owner: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, history: Sequence[TokenState], grid: tuple[int, int, int],
           clip: int = 0) -> 'TokenMap':
        """Take one clip out of recorded states.

        Args:
            history (Sequence[TokenState]): States before and after each merge, in turn,
                as :func:`record_tokens` or ``forward_tokens`` gives them.
            grid (tuple[int, int, int]): (T', H', W').
            clip (int): Place in the batch. Defaults to 0.

        Returns:
            TokenMap: Of this clip.
        """
        importance, kept, owner = [], [], []
        for before, after in zip(history[::2], history[1::2]):
            importance.append(_spread_importance(before, clip, grid))
            position = after.position[clip].cpu().numpy()
            source = after.source[clip].cpu().numpy()
            mask = np.zeros(len(source), dtype=bool)
            mask[position[position >= 0]] = True  # a fused token has no place of its own
            kept.append(mask.reshape(grid))
            places = np.where(position < 0, len(source) + np.arange(len(position)), position)
            owner.append(np.where(source < 0, -1, places[source]).reshape(grid))
        return cls(tuple(importance), tuple(kept), tuple(owner))


def _spread_importance(before: TokenState, clip: int,
                       grid: tuple[int, int, int]) -> np.ndarray | None:
    if before.importance is None:
        return None
    source = before.source[clip]
    spread = before.importance[clip].gather(0, source.clamp(min=0)).masked_fill(source < 0, 0)
    return spread.float().cpu().numpy().reshape(grid)


@contextmanager
def record_tokens(model: nn.Module) -> Iterator[list[TokenState]]:
    """Record what the token reducers of a model take and give, while the block runs.

    Args:
        model (nn.Module): With :class:`TokenReducer` modules inside, or without.

    Yields:
        list[TokenState]: States before and after each merge, in turn; it grows with each
        forward pass.
    """
    history: list[TokenState] = []
    handles = [
        module.register_forward_hook(lambda _, args, after: history.extend((args[0], after)))
        for module in model.modules() if isinstance(module, TokenReducer)
    ]
    try:
        yield history
    finally:
        for handle in handles:
            handle.remove()

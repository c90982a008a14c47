"""What a token reducer did with the tokens of one clip.

Shapes: M merges, N0 original tokens, (T', H', W') their grid.
"""
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from ..models import TokenReducer, TokenState


@dataclass(frozen=True)
class TokenMap:
    """Where each original token of a clip is after each merge: M arrays ``(T', H', W')`` each."""
    # float32, before the merge: importance of the token that holds each original token,
    # non-negative, 0 where it was dropped; None where the reducer uses no importance
    importance: tuple[np.ndarray | None, ...]
    kept: tuple[np.ndarray, ...]  # bool: whether the original token is still in its own place
    # int64: original index of the token that holds each original token; from N0 on for tokens
    # without a place of their own, -1 where the original token was dropped
    owner: tuple[np.ndarray, ...]

    @classmethod
    def from_history(cls, history: Sequence[TokenState], grid: tuple[int, int, int],
                     clip: int = 0) -> 'TokenMap':
        """Take one clip of a batch out of the states of :func:`record_tokens`."""
        importance, kept, owner = [], [], []
        for before, after in zip(history[::2], history[1::2]):
            importance.append(_importance_in_place(before, clip, grid))
            position = after.position[clip].cpu().numpy()
            source = after.source[clip].cpu().numpy()
            mask = np.zeros(len(source), dtype=bool)
            mask[position[position >= 0]] = True  # a fused token has no place of its own
            kept.append(mask.reshape(grid))
            places = np.where(position < 0, len(source) + np.arange(len(position)), position)
            owner.append(np.where(source < 0, -1, places[source]).reshape(grid))
        return cls(tuple(importance), tuple(kept), tuple(owner))

    def as_drawn(self) -> 'TokenMap':
        """What :func:`paint_window` draws: the first importance, and the last merge's tokens."""
        return TokenMap(self.importance[:1], self.kept[-1:],
                        (self.owner[-1].astype(np.int32), ))

    def to_arrays(self, layers: Sequence[int]) -> dict[str, Any]:
        """``importance_L``, ``kept_L`` and ``owner_L`` of each merge, L the block, for an npz."""
        arrays = {f'{name}_{layer}': values for name in ('importance', 'kept', 'owner')
                  for layer, values in zip(layers, getattr(self, name))}
        return {name: values for name, values in arrays.items() if values is not None}


def describe_prediction(scores: np.ndarray, label: int, classes: Sequence[str]) -> str:
    """The best class of ``(classes,)`` scores with its score, and the label if it is known."""
    best = int(scores.argmax())
    text = f'predicted {classes[best]} ({scores[best]:.2f})'
    return text if label < 0 else f'{text}, label {classes[label]}'


def _importance_in_place(before: TokenState, clip: int,
                         grid: tuple[int, int, int]) -> np.ndarray | None:
    if before.importance is None:
        return None
    source = before.source[clip]
    spread = before.importance[clip].gather(0, source.clamp(min=0)).masked_fill(source < 0, 0)
    return spread.float().cpu().numpy().reshape(grid)


@contextmanager
def record_tokens(model: nn.Module) -> Iterator[list[TokenState]]:
    """Record the states before and after each merge of a model, alternating, in the block."""
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

"""Pruning: keep the tokens that GAIE would keep, and drop the others."""
from mmaction.registry import MODELS
from torch import Tensor

from ...ops import select_tokens
from .drop_necks import DropNeck
from .token_reducer import TokenState


@MODELS.register_module()
class PruneNeck(DropNeck):
    """Keep the K most attended tokens and drop the rest: :class:`GAIENeck` without merging."""

    importance = 'attention'

    def choose(self, state: TokenState, num_keep: int) -> Tensor:
        assert state.importance is not None
        # GAIE's own choice, so that a comparison with it shows what merging alone contributes
        return select_tokens(state.importance, num_keep)[0]

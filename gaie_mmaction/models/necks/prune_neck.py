"""Pruning: keep the tokens that GAIE would keep, and drop the others."""
from mmaction.registry import MODELS
from torch import Tensor

from ...ops import select_tokens
from .drop_necks import DropNeck
from .token_reducer import TokenState, given


@MODELS.register_module()
class PruneNeck(DropNeck):
    """Keep the K most attended tokens and drop the rest: GAIE without its merging.

    Against :class:`GAIENeck` it tells what the dropped tokens were worth. There are no
    parameters.

    Args:
        token_keep_ratio (float): ``K = ceil(token_keep_ratio * N)`` of the N tokens stay,
            in (0, 1]; 1 is the identity. Defaults to 0.7.

    Raises:
        TypeError: If ``token_keep_ratio`` is not a number, at building.
        ValueError: If it is outside (0, 1].
    """

    needs_importance = True

    def choose(self, state: TokenState, num_keep: int) -> Tensor:
        """The K of highest importance; of equal ones the earlier."""
        return select_tokens(given(state.importance), num_keep)[0]

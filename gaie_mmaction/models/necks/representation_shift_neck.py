"""Representation Shift: keep the tokens that the last MLP changed most, drop the rest."""
from mmaction.registry import MODELS
from torch import Tensor

from ...ops import select_tokens
from .drop_necks import DropNeck
from .token_reducer import TokenState


@MODELS.register_module()
class RepresentationShiftNeck(DropNeck):
    """Keep the K tokens with the largest representation shift and drop the rest.

    "Representation Shift: Unifying Token Compression with FlashAttention", ICCV 2025 (arXiv
    2508.00367). The shift is the L2 distance between a token before and after an MLP. It needs no
    attention map, so that every block runs fused attention. There are no parameters.

    Reducers come after a block's attention, so the shift is that of the previous block's MLP, and
    the reducer cannot be in block 0.

    Args:
        token_keep_ratio (float): ``K = ceil(token_keep_ratio * N)``, in (0, 1]; 1 is the
            identity. Defaults to 0.7.
    """

    importance = 'shift'

    def choose(self, state: TokenState, num_keep: int) -> Tensor:
        assert state.importance is not None
        return select_tokens(state.importance, num_keep)[0]

"""Representation Shift: keep the tokens that the last MLP changed most, drop the rest."""
from mmaction.registry import MODELS

from .prune_neck import PruneNeck


@MODELS.register_module()
class RepresentationShiftNeck(PruneNeck):
    """Keep the K tokens with the largest representation shift and drop the rest.

    "Representation Shift: Unifying Token Compression with FlashAttention", ICCV 2025 (arXiv
    2508.00367). The shift is the L2 distance between a token before and after an MLP. It needs no
    attention map, so that every block runs fused attention. There are no parameters.

    Reducers come after a block's attention, so the shift is that of the previous block's MLP, and
    the reducer cannot be in block 0.
    """

    importance = 'shift'

"""The video ViT with its last tokens as a feature map, for Grad-CAM.

Shapes: B batch, C channels, N present tokens, N0 = T'H'W' original tokens.
"""
from mmaction.registry import MODELS
from torch import Tensor

from ...ops import gather_tokens, unmerge_tokens
from .gaie_vit import GAIEVisionTransformer


@MODELS.register_module()
class FeatMapVisionTransformer(GAIEVisionTransformer):
    """The same network, whose last tokens pass ``feat_map`` as ``(B, C, T', H', W')``.

    MMAction2's ``GradCAM`` needs a layer with such an output: name ``backbone/feat_map``. Behind
    it each token becomes the mean over its places again, so that the features are those of
    :class:`GAIEVisionTransformer`, and a token's gradient is shared evenly by its places. Same
    arguments and weights; slower.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Extract the features ``(B, C)`` of clips ``(B, C, T, H, W)``."""
        state = self.forward_tokens(x)
        tokens = self.norm(state.x)  # (B, N, C)
        # (B, N, C) -> (B, N0, C) -> (B, C, T', H', W') -> back
        unmerged = unmerge_tokens(tokens, state.source).transpose(1, 2)
        feat_map = self.feat_map(unmerged.unflatten(2, self.token_grid(x)))
        held = state.source >= 0
        source = state.source.clamp(min=0)
        unmerged = feat_map.flatten(2).transpose(1, 2) * held.unsqueeze(-1)
        places = tokens.new_zeros(tokens.shape[:2]).scatter_add(
            1, source, held.to(tokens.dtype))  # (B, N)
        # dividing before the sum: equal summands then add up to exactly the token itself
        share = unmerged / gather_tokens(places, source).unsqueeze(-1)
        index = source.unsqueeze(-1).expand_as(share)
        return self.pool(tokens.new_zeros(tokens.shape).scatter_add(1, index, share), state)

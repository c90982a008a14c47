"""The video ViT with its last tokens as a map, for Grad-CAM.

Letters: B batch, C channels, N present tokens, N0 = T'H'W' original tokens.
"""
from typing import Any

from mmaction.registry import MODELS
from torch import Tensor, nn

from ...ops import gather_tokens, spread_tokens
from .gaie_vit import GAIEVisionTransformer


@MODELS.register_module()
class FeatMapVisionTransformer(GAIEVisionTransformer):
    """The same network, whose last tokens pass ``feat_map`` spread over their places.

    MMAction2's ``GradCAM`` wants a layer with an output ``(B, C, T', H', W')``; name
    ``backbone/feat_map``. Behind it each token becomes the mean over its places again, so
    the features are those of :class:`GAIEVisionTransformer`, and a token's gradient is shared
    evenly by its places. Takes the same arguments and weights; slower.

    Raises:
        ValueError: If ``return_feat_map`` is set.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.return_feat_map:
            raise ValueError('return_feat_map must be False: the map is for a hook at feat_map')
        self.feat_map = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Features of clips.

        Args:
            x (Tensor): ``(B, C, T, H, W)`` normalised frames.

        Returns:
            Tensor: ``(B, C)``.
        """
        state = self.forward_tokens(x)
        tokens = self.norm(state.x)  # (B, N, C)
        # (B, N, C) -> (B, N0, C) -> (B, C, T', H', W') -> back
        spread = spread_tokens(tokens, state.source).transpose(1, 2)
        spread = self.feat_map(spread.unflatten(2, self._token_grid(x))).flatten(2).transpose(1, 2)
        held = state.source >= 0
        spread = spread * held.unsqueeze(-1)
        places = tokens.new_zeros(tokens.shape[:2]).scatter_add(
            1, state.source.clamp(min=0), held.to(tokens.dtype))  # (B, N)
        # the division comes first: equal summands then add up to the token itself
        share = spread / gather_tokens(places, state.source.clamp(min=0)).unsqueeze(-1)
        index = state.source.clamp(min=0).unsqueeze(-1).expand_as(share)
        mean = tokens.new_zeros(tokens.shape).scatter_add(1, index, share)
        return self.pool(mean, state)

"""vid-TLDR: merge similar tokens, weighted by how salient they are."""
from dataclasses import replace

import torch
from mmaction.registry import MODELS
from torch import Tensor

from ...ops import gather_tokens, match_bipartite, new_index, update_source
from .bipartite_neck import BipartiteNeck
from .token_reducer import TokenState

TINY = 1e-12


@MODELS.register_module()
class VidTLDRNeck(BipartiteNeck):
    """Merge the r most similar pairs of tokens; salient tokens count, background ones do not.

    "vid-TLDR: Training Free Token merging for Light-weight Video Transformer", CVPR 2024 (arXiv
    2403.13347), section 3. A token's saliency is the sharpness of its own attention, averaged
    over heads: the negative entropy. Scaled to [0, 1] over the clip, saliency below the mean is
    background, of score 0; the rest is scaled to [0, 1] again. Pairs are found as in ToMe, by
    the cosine of the features. Each token has a mass, initially 1; a token that merges into
    another contributes its mass times its score, so that background is dropped, and the merged
    token's mass is the sum. There are no parameters, and the paper trains none. It is meant for
    the first blocks, where most tokens go at once, e.g. ``merge_layers=(0, 1, 2)`` with
    ``r=(370, 125, 60)``.

    Where the paper is silent: merged tokens that contribute nothing have no provenance
    (``source`` -1); the final mean is weighted by mass; if all tokens are equally sharp, all are
    background; the next block's sets follow the order of :class:`ToMeNeck`.

    Args:
        token_keep_ratio, r, schedule: See :class:`BipartiteNeck`.
        prop_attn (bool): Attention in all later blocks weighted by mass. Defaults to True, as in
            the paper.
    """

    importance = 'sharpness'
    drops_tokens = True

    def forward(self, state: TokenState) -> TokenState:
        """Reduce N tokens to ``N - r``: what is left of the even ones, then the odd ones."""
        num_merge = self.num_merged(state)
        if num_merge == 0:
            return state
        assert state.importance is not None
        keep_idx, merge_idx, dst = match_bipartite(state.x, num_merge)
        score = gather_tokens(saliency_score(state.importance), merge_idx)  # (B, r)
        mass = state.size.scatter(1, merge_idx, gather_tokens(state.size, merge_idx) * score)
        merged = replace(state, size=mass).merge(keep_idx, merge_idx, dst, weight=mass)
        # background tokens contribute nothing, so nothing holds them afterwards
        dst = torch.where(score > 0, dst, -1)
        index = new_index(keep_idx, state.num_tokens, merge_idx, dst)
        return replace(merged, source=update_source(state.source, index))


def saliency_score(sharpness: Tensor) -> Tensor:
    """Share of its mass, in [0, 1], that a token contributes when it is merged, by its sharpness.

    Both are ``(B, N)``; the background has 0. The paper's two scalings, to [0, 1] and then of the
    part above the mean, amount to the excess over the mean divided by the largest excess.
    """
    excess = (sharpness - sharpness.mean(dim=1, keepdim=True)).clamp(min=0)
    return excess / excess.amax(dim=1, keepdim=True).clamp(min=TINY)

"""vid-TLDR: merge similar tokens, weighted by how salient they are."""
import torch
from mmaction.registry import MODELS
from torch import Tensor

from ...ops import (
    follow_source,
    gather_tokens,
    match_bipartite,
    merge_sizes,
    merge_weighted,
    place_of_kept,
)
from .bipartite_neck import BipartiteNeck
from .token_reducer import TokenState, given

TINY = 1e-12


@MODELS.register_module()
class VidTLDRNeck(BipartiteNeck):
    """Merge the r most similar pairs of tokens, salient ones with weight, background ones without.

    "vid-TLDR: Training Free Token merging for Light-weight Video Transformer", CVPR
    2024 (arXiv 2403.13347), section 3. A token's saliency is the sharpness of its
    own attention, mean over heads: the negative entropy. Scaled to [0, 1] over the
    clip, what lies below the mean is background, of score 0; the rest is scaled to
    [0, 1] once more, which sets foreground tokens apart. Pairs are found as in ToMe,
    by the cosine of the features. Each token has a mass, at first 1; a token that
    merges into another brings in its mass times its score, so that a background
    token is dropped, and a merged token's mass is the sum. Tokens that nothing is
    merged from, and those merged into, keep their own mass. There are no parameters,
    and the paper trains none: it is meant for the first blocks, where most tokens
    go at once, e.g. ``merge_layers=(0, 1, 2)`` with ``r=(370, 125, 60)``.

    Where the paper is silent: merged tokens that bring in nothing have no
    provenance (``source`` -1); the backbone's final mean is weighted by mass; if all
    tokens are equally sharp, all are background; the next block's sets follow the
    order of what is left of the first set, then the second one.

    Args:
        token_keep_ratio (float, optional): Share of the tokens that stay, in
            [0.5, 1]; 1 is the identity. This or ``r``. Defaults to None.
        r (int or Sequence[int], optional): Tokens merged in each block, or one
            number a block; at most half of a block's tokens. Defaults to None.
        schedule (str): For a single ``r``: ``'constant'``, or ``'decreasing'`` from
            ``2 r`` to 0. Defaults to ``'constant'``.
        prop_attn (bool): Attention in all later blocks weighted by mass. Defaults
            to True, as in the paper.

    Raises:
        TypeError: If ``r`` holds anything but integers.
        ValueError: If not exactly one of ``token_keep_ratio`` and ``r`` is given, a
            value is out of its range, or the backbone's tokens are too few.
    """

    needs_importance = True
    importance_type = 'sharpness'
    drops_tokens = True

    def forward(self, state: TokenState) -> TokenState:
        """Reduce N tokens to ``N - r``.

        Args:
            state (TokenState): With ``importance``, the sharpness.

        Returns:
            TokenState: What is left of the even tokens, then the odd ones; ``size`` is
            their mass.
        """
        self.check_state(state)
        num_tokens = int(state.x.shape[1])
        num_merge = num_tokens - self.num_left(num_tokens, state.step)
        if num_merge == 0:
            return TokenState(state.x, state.size, state.source, state.position)
        merge = keep_idx, merge_idx, dst = match_bipartite(state.x, num_merge)
        score = gather_tokens(saliency_score(given(state.importance)), merge_idx)  # (B, r)
        mass = state.size.scatter(1, merge_idx, gather_tokens(state.size, merge_idx) * score)
        place = place_of_kept(keep_idx, num_tokens)
        place = place.scatter(1, merge_idx, torch.where(score > 0, dst, -1))
        return TokenState(
            x=merge_weighted(state.x, mass, *merge),
            size=merge_sizes(mass, *merge),
            source=follow_source(state.source, place),
            position=gather_tokens(state.position, keep_idx))


def saliency_score(sharpness: Tensor) -> Tensor:
    """Part of its mass that a token brings in when it merges.

    The paper's two scalings, to [0, 1] and then of the part above the mean, come to
    the excess over the mean, divided by the largest one.

    Args:
        sharpness (Tensor): ``(B, N)``.

    Returns:
        Tensor: ``(B, N)`` in [0, 1], 0 for the background.
    """
    excess = (sharpness - sharpness.mean(dim=1, keepdim=True)).clamp(min=0)
    return excess / excess.amax(dim=1, keepdim=True).clamp(min=TINY)

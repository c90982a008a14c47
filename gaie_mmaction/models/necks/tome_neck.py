"""ToMe: merge the most similar tokens."""
from mmaction.registry import MODELS

from ...ops import match_bipartite
from .bipartite_neck import BipartiteNeck
from .token_reducer import TokenState


@MODELS.register_module()
class ToMeNeck(BipartiteNeck):
    """Merge the r most similar pairs of tokens of two alternating sets into weighted means.

    "Token Merging: Your ViT but Faster", ICLR 2023 (arXiv 2210.09461), section 3. The tokens
    alternate between two sets; each of the first proposes the most similar of the second, by the
    cosine of the attention's keys averaged over heads; the r best proposals are merged, weighted
    by size. The remaining first set comes before the second one, which decides the sets of the
    next block. The backbone's final mean is weighted by size. There are no parameters.

    The authors use it in every block (``merge_layers=range(depth)``) with the same r.

    Args:
        token_keep_ratio, r, schedule: See :class:`BipartiteNeck`.
        prop_attn (bool): Proportional attention in all later blocks. The authors leave it out
            for models pretrained as masked autoencoders. Defaults to True, as in the paper.
    """

    needs_keys = True

    def forward(self, state: TokenState) -> TokenState:
        """Reduce N tokens to ``N - r``: what is left of the even ones, then the odd ones."""
        num_merge = self.num_merged(state)
        if num_merge == 0:
            return state  # matching would still put the even tokens before the odd ones
        assert state.keys is not None
        return state.merge(*match_bipartite(state.keys, num_merge), weight=state.size)

"""ToMe: merge the most similar tokens."""
from mmaction.registry import MODELS

from ...ops import gather_tokens, match_bipartite, merge_sizes, merge_source, merge_weighted
from .bipartite_neck import BipartiteNeck
from .token_reducer import TokenState, given


@MODELS.register_module()
class ToMeNeck(BipartiteNeck):
    """Merge the r most similar pairs of tokens, of alternating sets, into weighted means.

    "Token Merging: Your ViT but Faster", ICLR 2023 (arXiv 2210.09461), section 3:
    the tokens alternate between two sets; each of the first proposes the most
    similar of the second, by the cosine of the attention's keys, mean over heads;
    the r best proposals merge to means weighted by size. The rest of the first
    set and the second one are put after one another, which decides the sets of
    the next block. The backbone's final mean is weighted by size. There are no
    parameters.

    The authors use it in every block (``merge_layers=range(depth)``), with the same
    r in each.

    Args:
        token_keep_ratio (float, optional): Share of the tokens that stay, in
            [0.5, 1]; 1 is the identity. This or ``r``. Defaults to None.
        r (int or Sequence[int], optional): Tokens merged in each block, or one
            number a block; at most half of a block's tokens. Defaults to None.
        schedule (str): ``'constant'``, or ``'decreasing'`` from ``2 r`` to 0. Defaults
            to ``'constant'``.
        prop_attn (bool): Proportional attention in all later blocks: the log of the
            sizes is added to the logits. The authors leave it out for models
            pre-trained as masked autoencoders. Defaults to True, as in the paper.

    Raises:
        TypeError: If ``r`` holds anything but integers.
        ValueError: If not exactly one of ``token_keep_ratio`` and ``r`` is given, a
            value is out of its range, or the backbone's tokens are too few.
    """

    needs_keys = True

    def forward(self, state: TokenState) -> TokenState:
        """Reduce N tokens to ``N - r``.

        Args:
            state (TokenState): With ``keys``.

        Returns:
            TokenState: What is left of the even tokens, then the odd ones.
        """
        self.check_state(state)
        num_tokens = int(state.x.shape[1])
        num_merge = num_tokens - self.num_left(num_tokens, state.step)
        if num_merge == 0:
            return TokenState(state.x, state.size, state.source, state.position)
        merge = match_bipartite(given(state.keys), num_merge)
        return TokenState(
            x=merge_weighted(state.x, state.size, *merge),
            size=merge_sizes(state.size, *merge),
            source=merge_source(state.source, *merge),
            position=gather_tokens(state.position, merge[0]))

"""EViT: keep the attended tokens, fuse all the others into one."""
import torch
from mmaction.registry import MODELS
from torch import Tensor

from ...ops import gather_tokens, new_index, select_tokens, update_source
from ...ops.precision import at_least_float32
from .token_reducer import TokenReducer, TokenState

# if no fused token has any attention, all of them count the same
TINY = 1e-12


@MODELS.register_module()
class EViTNeck(TokenReducer):
    """Keep the K most attended tokens and fuse the rest into one more.

    "Not All Patches are What You Need", ICLR 2022 (arXiv 2202.07800), section 3. The fused token
    is the mean of the rest weighted by importance, and comes last. Later reductions treat it as
    any other token. There are no parameters.

    Unlike the paper, whose networks have a class token, importance is the attention of all
    tokens averaged over heads; the weights are normalised to sum to 1 and have no gradient.

    Args:
        token_keep_ratio (float): ``K = ceil(token_keep_ratio * N)``; a ratio that would "fuse" a
            single token is the identity, as is 1. Defaults to 0.7.
        count_fused (bool): Count the fused token as one of the K, so that the cost is that of a
            reducer that leaves K tokens. Defaults to False, as in the paper: K + 1 are left.
        prop_attn (bool): See :class:`TokenReducer`. Defaults to False, as in the paper.

    Raises:
        ValueError: If ``token_keep_ratio`` leaves no token beside the fused one.
    """

    importance = 'attention'
    shown = ('token_keep_ratio', 'count_fused', 'prop_attn')

    def __init__(self,
                 token_keep_ratio: float = 0.7,
                 count_fused: bool = False,
                 prop_attn: bool = False) -> None:
        super().__init__(token_keep_ratio, prop_attn)
        self.count_fused = count_fused

    def num_left(self, num_tokens: int, step: int) -> int:
        num_keep = super().num_left(num_tokens, step)
        if num_keep == num_tokens:
            return num_tokens  # nothing to fuse, and no token to add for it
        left = num_keep if self.count_fused else num_keep + 1
        if left < 2:
            raise ValueError(f'token_keep_ratio must leave a token beside the fused one, but got '
                             f'{self.token_keep_ratio}, which leaves {left} of {num_tokens} tokens '
                             'with count_fused=True')
        return left

    def forward(self, state: TokenState) -> TokenState:
        """Reduce N tokens to the kept ones in their order, then the fused one (position -1)."""
        num_tokens = state.num_tokens
        num_left = self.num_left(num_tokens, state.step)
        if num_left == num_tokens:
            return state
        assert state.importance is not None
        keep_idx, fuse_idx = select_tokens(state.importance, num_left - 1)
        fused, fused_size = self._fuse(state, state.importance, fuse_idx)
        # every fused token goes to the last place, num_left - 1
        index = new_index(keep_idx, num_tokens, fuse_idx, torch.full_like(fuse_idx, num_left - 1))
        return TokenState(
            x=torch.cat([gather_tokens(state.x, keep_idx), fused], dim=1),
            size=torch.cat([gather_tokens(state.size, keep_idx), fused_size], dim=1),
            source=update_source(state.source, index),
            position=torch.cat([gather_tokens(state.position, keep_idx),
                                torch.full_like(fuse_idx[:, :1], -1)], dim=1),
            step=state.step)

    @staticmethod
    def _fuse(state: TokenState, importance: Tensor, fuse_idx: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, M)`` indices -> weighted mean ``(B, 1, C)`` and total size ``(B, 1)``."""
        tokens = gather_tokens(state.x, fuse_idx)  # (B, M, C)
        weight = gather_tokens(importance, fuse_idx)
        weight = weight.to(at_least_float32(tokens.dtype)).clamp(min=TINY)
        weight = weight / weight.sum(dim=1, keepdim=True)
        fused = (tokens * weight.unsqueeze(-1)).sum(dim=1, keepdim=True)
        return fused.to(tokens.dtype), gather_tokens(state.size, fuse_idx).sum(dim=1, keepdim=True)

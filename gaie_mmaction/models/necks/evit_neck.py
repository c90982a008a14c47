"""EViT: keep the attended tokens, fuse all the others into one."""

import torch
from mmaction.registry import MODELS
from torch import Tensor

from ...ops import follow_source, gather_tokens, num_kept, place_of_kept, select_tokens
from ...ops.precision import at_least_float32
from .token_reducer import TokenReducer, TokenState, given

# where all fused tokens have no attention at all, each counts the same
TINY = 1e-12


@MODELS.register_module()
class EViTNeck(TokenReducer):
    """Keep the K most attended tokens and fuse the rest into one more.

    "Not All Patches are What You Need", ICLR 2022 (arXiv 2202.07800), section 3:
    the fused token is the mean of the rest, weighted by importance, and stands
    last. In a later reduction it is a token as any other: it can be kept, or be
    fused again. There are no parameters.

    What differs from the paper, whose networks have a class token: importance is
    the attention of all tokens, mean over heads, instead of the class token's; the
    weights are normalised to sum to 1; they have no gradient.

    Args:
        token_keep_ratio (float): ``K = ceil(token_keep_ratio * N)`` of the N tokens
            stay, in (0, 1]; 1 is the identity, and so is a ratio that would
            "fuse" a single token. Defaults to 0.7.
        count_fused (bool): Whether the fused token is one of the K, so that the
            tokens, and the cost, are those of a reducer that leaves K. Defaults to
            False, as in the paper: K + 1 tokens are left.
        prop_attn (bool): Size-weighted attention in all later blocks and a
            size-weighted final mean. Defaults to False, as in the paper.

    Raises:
        TypeError: If ``token_keep_ratio`` is not a number, at building.
        ValueError: If it is outside (0, 1], or so low that no token would stay
            beside the fused one.
    """

    needs_importance = True

    def __init__(self,
                 token_keep_ratio: float = 0.7,
                 count_fused: bool = False,
                 prop_attn: bool = False) -> None:
        super().__init__(token_keep_ratio, prop_attn)
        self.count_fused = count_fused

    def num_left(self, num_tokens: int, step: int) -> int:
        """K, and the fused token if it is not one of them; see the base class."""
        num_keep = num_kept(num_tokens, given(self.token_keep_ratio))
        if num_keep == num_tokens:
            return num_tokens
        left = num_keep if self.count_fused else num_keep + 1
        if left < 2:
            raise ValueError(f'token_keep_ratio must leave a token beside the fused one, but got '
                             f'{self.token_keep_ratio}, which leaves {left} of {num_tokens} tokens '
                             'with count_fused=True')
        return left

    def forward(self, state: TokenState) -> TokenState:
        """Reduce N tokens to K and the fused one.

        Args:
            state (TokenState): With ``importance``.

        Returns:
            TokenState: The kept tokens in their order, then the fused one, whose
            ``position`` is -1.
        """
        self.check_state(state)
        num_tokens = int(state.x.shape[1])
        num_left = self.num_left(num_tokens, state.step)
        if num_left == num_tokens:
            return TokenState(state.x, state.size, state.source, state.position)
        keep_idx, fuse_idx = select_tokens(given(state.importance), num_left - 1)
        fused, fused_size = self._fuse(state, fuse_idx)
        # everything fused goes to the place behind the kept tokens
        place = place_of_kept(keep_idx, num_tokens).scatter(1, fuse_idx, num_left - 1)
        return TokenState(
            x=torch.cat([gather_tokens(state.x, keep_idx), fused], dim=1),
            size=torch.cat([gather_tokens(state.size, keep_idx), fused_size], dim=1),
            source=follow_source(state.source, place),
            position=torch.cat([gather_tokens(state.position, keep_idx),
                                torch.full_like(fuse_idx[:, :1], -1)], dim=1))

    @staticmethod
    def _fuse(state: TokenState, fuse_idx: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, M)`` tokens -> their weighted mean ``(B, 1, C)`` and their size ``(B, 1)``."""
        tokens = gather_tokens(state.x, fuse_idx)  # (B, M, C)
        weight = gather_tokens(given(state.importance), fuse_idx)
        weight = weight.to(at_least_float32(tokens.dtype)).clamp(min=TINY)
        weight = weight / weight.sum(dim=1, keepdim=True)
        fused = (tokens * weight.unsqueeze(-1)).sum(dim=1, keepdim=True)
        return fused.to(tokens.dtype), gather_tokens(state.size, fuse_idx).sum(dim=1, keepdim=True)

    def extra_repr(self) -> str:
        return (f'token_keep_ratio={self.token_keep_ratio}, count_fused={self.count_fused}, '
                f'prop_attn={self.prop_attn}')

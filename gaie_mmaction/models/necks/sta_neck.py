"""STA: drop the tokens that repeat an earlier frame and matter little."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from torch import Tensor

from ...ops import gather_tokens, match_bipartite, num_kept
from ...ops.precision import at_least_float32, no_autocast
from .drop_necks import DropNeck
from .token_reducer import TokenState, is_integer

TINY = 1e-12


@MODELS.register_module()
class STANeck(DropNeck):
    """Drop the tokens with the highest semantic-aware temporal accumulation score.

    "Prune Spatio-temporal Tokens by Semantic-aware Temporal Accumulation", ICCV 2023 (arXiv
    2308.04549), section 3. The tokens are split into consecutive groups of frames, and as many
    are dropped from each. The first group drops the tokens that are most similar to others of it,
    as ToMe finds them. Every other group inherits redundancy from the group before it, through
    the softmax of the cosine similarities of the keys; it counts for less where the features have
    large magnitudes. Consecutive reductions run through the groups in opposite directions. There
    are no parameters, and the paper trains none: it reduces in blocks 0, 4 and 8 of 12.

    Kept tokens stay in space-time order; in the authors' code they are ordered by score, which
    only affects how the first group is split in the next reduction.

    Args:
        token_keep_ratio (float): Share of each group's tokens that stay, rounded up, in [0.5, 1].
            Defaults to 0.7.
        num_groups (Sequence[int]): Number of groups in each reduction, at least 1; the tokens
            must divide into them. Defaults to (8, 4, 2), as in the paper.

    Raises:
        TypeError: If ``num_groups`` holds anything but integers.
        ValueError: If a value is out of range or, in :meth:`setup`, there are more reductions
            than ``num_groups``, or tokens do not divide into groups.
    """

    needs_keys = True
    shown = ('token_keep_ratio', 'num_groups')

    def __init__(self, token_keep_ratio: float = 0.7,
                 num_groups: Sequence[int] = (8, 4, 2)) -> None:
        super().__init__(token_keep_ratio)
        if token_keep_ratio < .5:
            raise ValueError('token_keep_ratio must be in [0.5, 1], since bipartite matching '
                             f'finds at most half of the tokens, but got {token_keep_ratio}')
        for number in num_groups:
            if not is_integer(number):
                raise TypeError(f'num_groups must be integers, but got {number!r}')
            if number < 1:
                raise ValueError(f'num_groups must be at least 1, but got {number}')
        self.num_groups = tuple(num_groups)

    def num_left(self, num_tokens: int, step: int) -> int:
        if step >= len(self.num_groups):
            raise ValueError(f'num_groups must have one number per block in merge_layers, but got '
                             f'{self.num_groups}')
        groups = self.num_groups[step]
        if num_tokens % groups:
            raise ValueError(f'num_groups must divide the tokens, {num_tokens} in reduction '
                             f'{step + 1}, but got {groups}')
        assert self.token_keep_ratio is not None
        return groups * num_kept(num_tokens // groups, self.token_keep_ratio)

    @torch.no_grad()
    def choose(self, state: TokenState, num_keep: int) -> Tensor:
        assert state.keys is not None
        groups = self.num_groups[state.step]
        # (B, N, C) -> G x (B, N / G, C)
        x = state.x.to(at_least_float32(state.x.dtype)).chunk(groups, dim=1)
        keys = F.normalize(state.keys.to(x[0].dtype), dim=-1).chunk(groups, dim=1)
        order = range(groups) if state.step % 2 == 0 else range(groups - 1, -1, -1)
        with no_autocast(state.x.device):
            kept = choose_by_accumulation(
                [x[g] for g in order], [keys[g] for g in order], num_keep // groups)
        size = x[0].shape[1]
        # ascending in the whole clip again
        return torch.cat([kept[order.index(g)] + g * size for g in range(groups)], dim=1)


def choose_by_accumulation(x: Sequence[Tensor], keys: Sequence[Tensor],
                           num_keep: int) -> list[Tensor]:
    """Choose the tokens to keep in consecutive groups by the STA score.

    Args:
        x (Sequence[Tensor]): ``(B, n, C)`` features of each group.
        keys (Sequence[Tensor]): ``(B, n, d)`` keys of unit length.
        num_keep (int): Tokens to keep in each group, in [ceil(n / 2), n].

    Returns:
        list[Tensor]: ``(B, num_keep)`` int64 for each group, in [0, n), ascending.
    """
    kept = [match_bipartite(keys[0], keys[0].shape[1] - num_keep)[0].sort(dim=1).values]
    # all tokens of the first group pass on the same redundancy, also the dropped ones
    source, score = keys[0], None
    for features, group in zip(x[1:], keys[1:]):
        # normalized over the tokens that receive: each earlier token passes on all it has
        transition = (group @ source.transpose(1, 2)).softmax(dim=1)  # (B, n, n')
        score = transition.sum(dim=2) if score is None else (
            transition @ score.unsqueeze(-1)).squeeze(-1)
        magnitude = features.abs().sum(dim=-1)
        low, high = magnitude.aminmax(dim=1, keepdim=True)
        semantics = (magnitude - low) / (high - low).clamp(min=TINY)
        lowest = (score * (1 - semantics)).argsort(dim=1, stable=True)[:, :num_keep]
        kept.append(lowest.sort(dim=1).values)
        source, score = gather_tokens(group, kept[-1]), gather_tokens(score, kept[-1])
        score = score / score.sum(dim=1, keepdim=True)
    return kept

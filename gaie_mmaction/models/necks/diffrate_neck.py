"""DiffRate: prune the least important tokens and merge the next, in learned numbers."""
from dataclasses import dataclass
from typing import Any

import torch
from mmaction.registry import MODELS
from torch import Tensor, nn

from ...ops import (
    match_tokens,
    merge_sizes,
    merge_tokens,
    num_kept,
    update_source,
    weighted_attention,
)
from ...ops.discrete_rate import (
    expected_count,
    keep_probability,
    logits_of_mean,
    straight_through,
    vit_macs,
)
from .token_reducer import TokenReducer, TokenState, is_integer

# A learned count starts at least this far inside the candidates: no distribution has its mean at
# the last candidate, and a quarter of a token still rounds to it.
MARGIN = .25


@dataclass(frozen=True)
class MaskedState(TokenState):
    """Tokens that are hidden in training instead of removed.

    Attributes:
        mask (Tensor, optional): ``(B, N)`` of zeros and ones, with a gradient. Hidden tokens (0)
            take no part in attention and in the final mean. None if all are visible.
    """
    mask: Tensor | None = None


@MODELS.register_module()
class DiffRateNeck(TokenReducer):
    """Sort by importance, drop the last tokens, merge the next ones; learn how many.

    "DiffRate: Differentiable Compression Rate for Efficient Vision Transformers", ICCV 2023
    (arXiv 2305.17997), section 3. Each block with the reducer has two learned counts: the tokens
    left by pruning and those left by merging. A count is the mean of the candidates
    ``N0, N0 - granularity, ...`` under learned probabilities, rounded, and never above the
    previous count. Each merged token joins the most similar kept one, by the cosine of the
    features, and a kept token becomes the plain mean of what it holds.

    In training nothing is removed: a removed token is masked in the attention of later blocks
    and in the final mean, by zeros and ones with the gradient of the probability to be kept
    (straight-through). In testing, and in training after :meth:`fix_counts`, tokens are really
    removed; both compute the same. :class:`DiffRateHook` adds the cost to the loss and ends the
    search.

    Unlike the paper, whose networks have a class token, importance is the attention of all
    visible tokens averaged over heads. Where the paper is silent: counts are rounded to the
    nearest integer (its code rounds up); they start at the flattest distribution whose mean is
    the desired count, half of the removed tokens pruned and half merged; a merged token adds its
    whole size (its code scales it by the similarity).

    Args:
        token_keep_ratio (float): Share of the tokens that each block leaves at the start of
            training, and without any. Defaults to 0.7.
        granularity (int): Distance between candidates in tokens, in [1, N0). Defaults to 1.
        prop_attn (bool): See :class:`TokenReducer`. Defaults to True, as in the paper.

    Raises:
        TypeError: If the granularity is not an integer.
        ValueError: If it is outside [1, N0), no block has the reducer, or the backbone has
            attention dropout in training.
    """

    importance = 'attention'
    drops_tokens = True
    shown = ('start_keep_ratio', 'granularity', 'prop_attn', 'counts')

    def __init__(self,
                 token_keep_ratio: float = 0.7,
                 granularity: int = 1,
                 prop_attn: bool = True) -> None:
        super().__init__(token_keep_ratio, prop_attn)
        if not is_integer(granularity):
            raise TypeError(f'granularity must be an integer, but got {granularity!r}')
        if granularity < 1:
            raise ValueError(f'granularity must be at least 1, but got {granularity}')
        self.start_keep_ratio = token_keep_ratio
        self.token_keep_ratio = None  # from here on the counts are learned
        self.granularity = granularity
        self.num_tokens = 0  # set by setup()
        self.counts: list[tuple[int, int]] = []
        #: whether the search is over
        self.is_fixed = False

    def setup(self, num_tokens: int, num_reductions: int) -> None:
        total = self.num_tokens = num_tokens
        if self.granularity >= total:
            raise ValueError(f'granularity must be in [1, {total}), the number of tokens, but got '
                             f'{self.granularity}')
        if not num_reductions:
            raise ValueError('merge_layers must name at least one block with a DiffRateNeck, but '
                             'got none')
        candidates = torch.arange(total, 0, -self.granularity).flip(0)
        self.register_buffer('candidates', candidates, persistent=False)
        first, last = candidates[0].item() + MARGIN, candidates[-1].item() - MARGIN
        prune: list[Tensor] = []
        merge: list[Tensor] = []
        left = total
        for _ in range(num_reductions):
            before, left = left, num_kept(left, self.start_keep_ratio)
            for logits, count in ((prune, (before + left + 1) // 2), (merge, left)):
                logits.append(logits_of_mean(candidates, min(max(count, first), last)))
        # (blocks, D)
        self.prune_logits = nn.Parameter(torch.stack(prune))
        self.merge_logits = nn.Parameter(torch.stack(merge))
        # (blocks, 2), zeros while the counts are learned
        self.register_buffer('fixed_counts', torch.zeros(len(prune), 2, dtype=torch.long))
        self.update_counts()

    def expected_counts(self) -> list[tuple[Tensor, Tensor]]:
        """Counts after pruning and after merging of each block, rounded, differentiable."""
        with torch.autocast(self.prune_logits.device.type, enabled=False):
            prune = expected_count(self.prune_logits, self.candidates)
            merge = expected_count(self.merge_logits, self.candidates)
        prune, merge = (straight_through(mean.detach().round(), mean) for mean in (prune, merge))
        counts, left = [], prune.new_tensor(float(self.num_tokens))
        for pruned, merged in zip(prune, merge):
            pruned = torch.minimum(left, pruned)
            left = torch.minimum(pruned, merged)
            counts.append((pruned, left))
        return counts

    @torch.no_grad()
    def update_counts(self) -> None:
        """Derive the counts from the parameters, or take the fixed ones."""
        if self.prune_logits.is_meta:
            return  # those that were read before the values went
        counts = self.fixed_counts.tolist()
        self.is_fixed = counts[0][0] > 0
        if not self.is_fixed:
            counts = torch.stack([torch.stack(pair) for pair in self.expected_counts()]).tolist()
        self.counts = [(int(pruned), int(left)) for pruned, left in counts]

    def fix_counts(self) -> None:
        """End the search: from now on tokens are removed in training, too."""
        self.update_counts()
        self.fixed_counts.copy_(torch.tensor(self.counts))
        self.is_fixed = True

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.update_counts()

    def train(self, mode: bool = True) -> 'DiffRateNeck':
        """Same as any module's; testing starts with the current counts."""
        if self.num_tokens and not mode:
            self.update_counts()
        return super().train(mode)

    def num_left(self, num_tokens: int, step: int) -> int:
        return min(self.counts[step][1], num_tokens)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, *, scale: float, dropout_p: float,
               state: TokenState, needs_importance: bool) -> tuple[Tensor, Tensor | None]:
        """Same as :meth:`TokenReducer.attend`, without the hidden tokens."""
        mask = getattr(state, 'mask', None)
        if mask is None:
            return super().attend(q, k, v, scale=scale, dropout_p=dropout_p, state=state,
                                  needs_importance=needs_importance)
        if dropout_p:
            raise ValueError('attn_drop_rate must be 0 with a DiffRateNeck, which masks attention '
                             f'in training, but got {dropout_p}')
        out, importance = weighted_attention(
            q, k, v, scale=scale, size=state.size if self.prop_attn else None, mask=mask)
        return out, importance if needs_importance else None

    def mean_weight(self, state: TokenState) -> Tensor | None:
        weight, mask = super().mean_weight(state), getattr(state, 'mask', None)
        if mask is None:
            return weight
        return mask if weight is None else weight * mask

    def forward(self, state: TokenState) -> TokenState:
        """Reduce N tokens, or hide as many while the counts are learned.

        A ``ValueError`` if the counts are for another number of tokens.
        """
        total = int(state.source.shape[1])
        if total != self.num_tokens:
            raise ValueError(f'the counts of this DiffRateNeck are for {self.num_tokens} tokens, '
                             "those of the backbone's img_size and num_frames, but got "
                             f'{total}')
        searching = self.training and not self.is_fixed
        if searching and state.step == 0:
            self.update_counts()
        assert state.importance is not None
        importance, mask = state.importance, None
        if searching:
            mask = getattr(state, 'mask', None)
            mask = torch.ones_like(state.size) if mask is None else mask
            importance = importance.masked_fill(mask == 0, -1.)  # hidden tokens rank last
        order = importance.argsort(dim=1, descending=True, stable=True)
        num_pruned, num_left = self.counts[state.step]
        keep_idx = order[:, :num_left].sort(dim=1).values
        merge_idx = order[:, num_left:num_pruned].sort(dim=1).values
        dst = match_tokens(state.x, keep_idx, merge_idx)
        if mask is None:
            return state.merge(keep_idx, merge_idx, dst)
        before = self.counts[state.step - 1][1] if state.step else total
        factor = self._rank_mask(state.step, before)
        mask = mask * torch.empty_like(mask).scatter(1, order, factor.expand_as(order))
        return self._hide(state, mask, keep_idx, merge_idx, dst)

    def _rank_mask(self, step: int, before: int) -> Tensor:
        """``(N0, )`` by rank: 0 for the tokens that this block removes, 1 for all others."""
        num_pruned, num_left = self.counts[step]
        factors = []
        for logits, begin, end in ((self.prune_logits, num_pruned, before),
                                   (self.merge_logits, num_left, num_pruned)):
            soft = keep_probability(logits[step], self.candidates, self.num_tokens)
            hard = torch.ones_like(soft)
            hard[begin:end] = 0.
            factors.append(straight_through(hard, soft))
        return factors[0] * factors[1]

    @staticmethod
    def _hide(state: TokenState, mask: Tensor, keep_idx: Tensor, merge_idx: Tensor,
              dst: Tensor) -> TokenState:
        """Merge with every token left in place; hidden ones keep their features."""
        merged = merge_tokens(state.x, keep_idx, merge_idx, dst)
        sizes = merge_sizes(state.size, keep_idx, merge_idx, dst)
        index = torch.full_like(state.position, -1).scatter(1, keep_idx, keep_idx)
        index = index.scatter(1, merge_idx, keep_idx.gather(1, dst))
        return MaskedState(
            x=state.x.scatter(1, keep_idx.unsqueeze(-1).expand_as(merged), merged),
            size=state.size.scatter(1, keep_idx, sizes),
            source=update_source(state.source, index),
            position=state.position,
            step=state.step,
            mask=mask)


def cost_ratio(backbone: Any) -> Tensor:
    """Multiply-adds of a backbone with a :class:`DiffRateNeck` over those of the plain one.

    A scalar, differentiable in the counts until they are fixed.
    """
    neck = backbone.neck
    sizes = dict(num_tokens=neck.num_tokens, depth=len(backbone.blocks),
                 embed_dims=backbone.embed_dims,
                 hidden_dims=backbone.blocks[0].mlp.feedforward_channels,
                 patch_values=backbone.patch_embed.projection.weight[0].numel())
    layers = sorted(backbone.merge_layers)
    plain = vit_macs((), (), **sizes)
    if neck.is_fixed:
        # distributed training requires every parameter to take part in the loss
        unused = neck.prune_logits.sum() + neck.merge_logits.sum()
        return vit_macs(neck.counts, layers, **sizes) / plain + 0. * unused
    return vit_macs(neck.expected_counts(), layers, **sizes) / plain

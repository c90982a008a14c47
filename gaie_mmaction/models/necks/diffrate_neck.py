"""DiffRate: prune the least important tokens and merge the next, in learnt numbers."""
from dataclasses import asdict
from typing import Any

import torch
from mmaction.registry import MODELS
from torch import Tensor, nn

from ...ops import (
    follow_source,
    gather_tokens,
    match_tokens,
    merge_sizes,
    merge_tokens,
    num_kept,
    place_of_kept,
)
from ...ops.discrete_rate import (
    expected_count,
    keep_probability,
    logits_of_mean,
    straight_through,
    vit_macs,
)
from .token_reducer import BackboneLayout, TokenReducer, TokenState, given, is_integer

# The mean of a learnt count stays this far inside the candidates at the start; a mean beyond
# the last candidate cannot be, and a quarter of a token rounds to the end itself.
MARGIN = .25


@MODELS.register_module()
class DiffRateNeck(TokenReducer):
    """Sort by importance, drop the last tokens, merge the next ones; learn how many.

    "DiffRate: Differentiable Compression Rate for Efficient Vision Transformers",
    ICCV 2023 (arXiv 2305.17997), section 3. Each block with the reducer has two
    learnt counts, of the tokens that pruning leaves and of those that merging
    leaves. A count is the mean of the candidates ``N0, N0 - granularity, ...`` under
    learnt probabilities, rounded, and never above the count before it. Each
    merged token joins the most similar of the kept ones, by the cosine of the
    features, and a kept token becomes the plain mean of what it holds.

    In training nothing is removed: a removed token is masked in the attention of
    later blocks and in the final mean, by ones and zeros whose gradient is that
    of the probability to be kept (straight-through). In testing, and in training
    after :meth:`fix_counts`, tokens are really removed; both compute the same.
    :class:`DiffRateHook` adds the cost to the loss and ends the search.

    What differs from the paper, whose networks have a class token: importance is
    the attention of all visible tokens, mean over heads, instead of the class
    token's. Where it is silent: counts are rounded to the nearest (its code rounds
    up); they start at the flattest distribution whose mean is the wanted count, with
    half of the removed tokens pruned and half merged; a merged token adds its whole
    size (its code scales it by the similarity).

    Args:
        token_keep_ratio (float): Share of the tokens that each block leaves at the
            start of training, and without any, in (0, 1]; 1 is the identity.
            Defaults to 0.7.
        granularity (int): Distance of neighbouring candidates, tokens, in [1, N0).
            Defaults to 1.
        prop_attn (bool): Size-weighted attention in all later blocks and a
            size-weighted final mean. Defaults to True, as in the paper.

    Raises:
        TypeError: If ``token_keep_ratio`` is not a number, or the granularity not an
            integer, at building.
        ValueError: If it is outside (0, 1], the granularity outside [1, N0), or no
            block has the reducer.
    """

    needs_importance = True
    drops_tokens = True
    masks_in_training = True

    def __init__(self,
                 token_keep_ratio: float = 0.7,
                 granularity: int = 1,
                 prop_attn: bool = True) -> None:
        super().__init__(token_keep_ratio, prop_attn)
        if not is_integer(granularity):
            raise TypeError(f'granularity must be an integer, but got {granularity!r}')
        if granularity < 1:
            raise ValueError(f'granularity must be at least 1, but got {granularity}')
        self.start_keep_ratio = given(self.token_keep_ratio)
        self._token_keep_ratio = None  # from here on the counts are learnt
        self.granularity = granularity
        self.layout: BackboneLayout | None = None
        self.counts: list[tuple[int, int]] = []
        self._is_fixed = False

    def attach(self, layout: BackboneLayout) -> None:
        """Make the learnt counts for the backbone's tokens; see the base class."""
        total = layout.num_tokens
        if self.granularity >= total:
            raise ValueError(f'granularity must be in [1, {total}), the number of tokens, but got '
                             f'{self.granularity}')
        if not layout.merge_layers:
            raise ValueError('merge_layers must name at least one block with a DiffRateNeck, but '
                             'got none')
        self.layout = layout
        candidates = torch.arange(total, 0, -self.granularity).flip(0).float()
        self.register_buffer('candidates', candidates, persistent=False)
        first, last = candidates[0].item() + MARGIN, candidates[-1].item() - MARGIN
        prune: list[Tensor] = []
        merge: list[Tensor] = []
        left = total
        for _ in layout.merge_layers:
            before, left = left, num_kept(left, self.start_keep_ratio)
            for logits, count in ((prune, (before + left + 1) // 2), (merge, left)):
                logits.append(logits_of_mean(candidates, min(max(count, first), last)))
        # (blocks, D)
        self.prune_logits = nn.Parameter(torch.stack(prune))
        self.merge_logits = nn.Parameter(torch.stack(merge))
        # (blocks, 2), zeros while the counts are learnt
        self.register_buffer('fixed_counts', torch.zeros(len(prune), 2, dtype=torch.long))
        self.update_counts()

    @property
    def is_fixed(self) -> bool:
        """bool: Whether the search is over."""
        return self._is_fixed

    def expected_counts(self) -> list[tuple[Tensor, Tensor]]:
        """Counts after pruning and after merging of each block, rounded, differentiable."""
        with torch.autocast(self.prune_logits.device.type, enabled=False):
            prune = expected_count(self.prune_logits, self.candidates)
            merge = expected_count(self.merge_logits, self.candidates)
        prune, merge = (straight_through(mean.detach().round(), mean) for mean in (prune, merge))
        counts, left = [], prune.new_tensor(float(given(self.layout).num_tokens))
        for pruned, merged in zip(prune, merge):
            pruned = torch.minimum(left, pruned)
            left = torch.minimum(pruned, merged)
            counts.append((pruned, left))
        return counts

    @torch.no_grad()
    def update_counts(self) -> None:
        """Read the counts off the parameters, or off the fixed ones."""
        if self.prune_logits.is_meta:
            return  # those that were read before the values went
        counts = self.fixed_counts.tolist()
        self._is_fixed = counts[0][0] > 0
        if not self._is_fixed:
            counts = torch.stack([torch.stack(pair) for pair in self.expected_counts()]).tolist()
        self.counts = [(int(pruned), int(left)) for pruned, left in counts]

    def fix_counts(self) -> None:
        """End the search: from now on tokens are removed in training, too."""
        self.update_counts()
        self.fixed_counts.copy_(torch.tensor(self.counts))
        self._is_fixed = True

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.update_counts()

    def train(self, mode: bool = True) -> 'DiffRateNeck':
        """As any module's; testing begins with the counts of the moment."""
        if self.layout is not None and not mode:
            self.update_counts()
        return super().train(mode)

    def cost_ratio(self) -> Tensor:
        """Multiply-adds of the backbone with the learnt counts over those of the plain one.

        Returns:
            Tensor: Scalar; differentiable until the counts are fixed, and then without
            an effect on the parameters, though still a function of them.
        """
        sizes = asdict(given(self.layout))
        layers = sizes.pop('merge_layers')
        plain = vit_macs((), (), **sizes)
        if self.is_fixed:
            # Distributed training wants every parameter to take part in the loss.
            return vit_macs(self.counts, layers, **sizes) / plain + 0. * (
                self.prune_logits.sum() + self.merge_logits.sum())
        return vit_macs(self.expected_counts(), layers, **sizes) / plain

    def num_left(self, num_tokens: int, step: int) -> int:
        """The learnt count after merging; see the base class."""
        return min(self.counts[step][1], num_tokens)

    def forward(self, state: TokenState) -> TokenState:
        """Reduce N tokens, or mask as many in training.

        Args:
            state (TokenState): With ``importance``.

        Returns:
            TokenState: What is left, in its order; while the counts are learnt all N0
            tokens, with a ``mask``.

        Raises:
            ValueError: If the input has another number of tokens than the counts are for.
        """
        self.check_state(state)
        total = int(state.source.shape[1])
        if self.layout is None or total != self.layout.num_tokens:
            raise ValueError(f'the counts of this DiffRateNeck are for '
                             f'{self.layout and self.layout.num_tokens} tokens, those of the '
                             f'backbone\'s img_size and num_frames, but got {total}')
        searching = self.training and not self.is_fixed
        if searching and state.step == 0:
            self.update_counts()
        before = self.counts[state.step - 1][1] if state.step else total
        mask = state.mask
        importance = given(state.importance)
        if searching:
            mask = torch.ones_like(state.size) if mask is None else mask
            importance = importance.masked_fill(mask == 0, -1.)  # hidden tokens come last
        order = importance.argsort(dim=1, descending=True, stable=True)
        num_pruned, num_left = self.counts[state.step]
        keep_idx = order[:, :num_left].sort(dim=1).values
        merge_idx = order[:, num_left:num_pruned].sort(dim=1).values
        merge = (keep_idx, merge_idx, match_tokens(state.x, keep_idx, merge_idx))
        if not searching:
            return self._remove(state, *merge)
        factor = self._rank_mask(state.step, before)
        mask = given(mask)
        mask = mask * torch.empty_like(mask).scatter(1, order, factor.expand_as(order))
        return self._hide(state, mask, *merge)

    def _rank_mask(self, step: int, before: int) -> Tensor:
        """``(N0, )`` by rank: 0 for the tokens that this block removes, 1 for all others."""
        num_pruned, num_left = self.counts[step]
        factors = []
        for logits, begin, end in ((self.prune_logits, num_pruned, before),
                                   (self.merge_logits, num_left, num_pruned)):
            soft = keep_probability(logits[step], self.candidates, given(self.layout).num_tokens)
            hard = torch.ones_like(soft)
            hard[begin:end] = 0.
            factors.append(straight_through(hard, soft))
        return factors[0] * factors[1]

    @staticmethod
    def _remove(state: TokenState, keep_idx: Tensor, merge_idx: Tensor, dst: Tensor) -> TokenState:
        place = place_of_kept(keep_idx, state.x.shape[1]).scatter(1, merge_idx, dst)
        return TokenState(
            x=merge_tokens(state.x, keep_idx, merge_idx, dst),
            size=merge_sizes(state.size, keep_idx, merge_idx, dst),
            source=follow_source(state.source, place),
            position=gather_tokens(state.position, keep_idx))

    @staticmethod
    def _hide(state: TokenState, mask: Tensor, keep_idx: Tensor, merge_idx: Tensor,
              dst: Tensor) -> TokenState:
        """The same with all tokens in their places; hidden ones keep their features."""
        merged = merge_tokens(state.x, keep_idx, merge_idx, dst)
        sizes = merge_sizes(state.size, keep_idx, merge_idx, dst)
        place = torch.full_like(state.position, -1).scatter(1, keep_idx, keep_idx)
        place = place.scatter(1, merge_idx, keep_idx.gather(1, dst))
        index = keep_idx.unsqueeze(-1).expand_as(merged)
        return TokenState(
            x=state.x.scatter(1, index, merged),
            size=state.size.scatter(1, keep_idx, sizes),
            source=follow_source(state.source, place),
            position=state.position,
            mask=mask)

    def extra_repr(self) -> str:
        counts = f', counts={self.counts}' if self.layout is not None else ''
        return (f'token_keep_ratio={self.start_keep_ratio}, granularity={self.granularity}, '
                f'prop_attn={self.prop_attn}{counts}')

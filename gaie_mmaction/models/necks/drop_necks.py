"""Controls that look at no token: drop at random, evenly, or all but the first."""
from abc import abstractmethod

import torch
from mmaction.registry import MODELS
from torch import Tensor

from ...ops import follow_source, gather_tokens, place_of_kept
from .token_reducer import TokenReducer, TokenState, is_integer


class DropNeck(TokenReducer):
    """Keep ``K = ceil(token_keep_ratio * N)`` tokens, drop the rest.

    Args:
        token_keep_ratio (float): Share of the tokens that stay, in (0, 1]; 1 is
            the identity. Defaults to 0.7.
    """

    drops_tokens = True

    def __init__(self, token_keep_ratio: float = 0.7) -> None:
        super().__init__(token_keep_ratio)

    @abstractmethod
    def choose(self, state: TokenState, num_keep: int) -> Tensor:
        """Choose the tokens to keep.

        Args:
            state (TokenState): N tokens.
            num_keep (int): K.

        Returns:
            Tensor: ``(B, K)`` int64, in [0, N), ascending.
        """

    def forward(self, state: TokenState) -> TokenState:
        """Reduce N tokens to K, in their order; the features stay as they are.

        Args:
            state (TokenState): N tokens.

        Returns:
            TokenState: K tokens; ``source`` is -1 for what was dropped.
        """
        self.check_state(state)
        num_tokens = int(state.x.shape[1])
        keep_idx = self.choose(state, self.num_left(num_tokens, state.step))
        return TokenState(
            x=gather_tokens(state.x, keep_idx),
            size=gather_tokens(state.size, keep_idx),
            source=follow_source(state.source, place_of_kept(keep_idx, num_tokens)),
            position=gather_tokens(state.position, keep_idx))

    def extra_repr(self) -> str:
        return f'token_keep_ratio={self.token_keep_ratio}'


@MODELS.register_module()
class KeepFirstNeck(DropNeck):
    """Keep the first K tokens: the free reducer, for studies of speed.

    Args:
        token_keep_ratio (float): Share of the tokens that stay, in (0, 1]. Defaults to 0.7.
    """

    def choose(self, state: TokenState, num_keep: int) -> Tensor:
        """The first K."""
        return torch.arange(num_keep, device=state.x.device).expand(len(state.x), -1)


@MODELS.register_module()
class RandomDropNeck(DropNeck):
    """Keep K tokens at random.

    In training each clip draws its own, from torch's global generator. In testing
    the draw follows from ``seed`` and the reduction alone: the same places for
    every clip, so that a result depends neither on the batch around a clip nor on
    the order of the clips. Another seed is another control.

    Args:
        token_keep_ratio (float): Share of the tokens that stay, in (0, 1]. Defaults to 0.7.
        seed (int): Of the draw in testing, at least 0. Defaults to 0.

    Raises:
        TypeError: If the seed is not an integer.
        ValueError: If it is negative.
    """

    def __init__(self, token_keep_ratio: float = 0.7, seed: int = 0) -> None:
        super().__init__(token_keep_ratio)
        if not is_integer(seed):
            raise TypeError(f'seed must be an integer, but got {seed!r}')
        if seed < 0:
            raise ValueError(f'seed must be at least 0, but got {seed}')
        self.seed = seed

    def choose(self, state: TokenState, num_keep: int) -> Tensor:
        """A draw for each clip in training, one for all in testing."""
        batch, num_tokens, _ = state.x.shape
        if self.training:
            draw = torch.rand(batch, num_tokens, device=state.x.device)
        else:
            # on the CPU: the same draw on every device
            generator = torch.Generator().manual_seed(1000 * self.seed + state.step)
            draw = torch.rand(num_tokens, generator=generator).to(state.x.device).expand(batch, -1)
        return draw.argsort(dim=1)[:, :num_keep].sort(dim=1).values


@MODELS.register_module()
class UniformDropNeck(DropNeck):
    """Keep K tokens that are spread evenly over space and time.

    Of the present tokens those stay whose place in the grid, counted row by row
    and frame by frame, is lowest in ``frac(place * golden ratio)``. Such a sequence
    fills every interval evenly, so that frames, rows and columns keep nearly equal
    shares, and a further reduction thins the same pattern out.

    Args:
        token_keep_ratio (float): Share of the tokens that stay, in (0, 1]. Defaults to 0.7.
    """

    def choose(self, state: TokenState, num_keep: int) -> Tensor:
        """The same places for every clip."""
        # float64: a float32 product of 1568 would leave only four digits of the fraction
        rank = state.position.double() * ((5**.5 - 1) / 2) % 1
        return rank.argsort(dim=1, stable=True)[:, :num_keep].sort(dim=1).values

"""Controls that do not look at the tokens: drop at random, evenly, or all but the first."""
from abc import abstractmethod

import torch
from mmaction.registry import MODELS
from torch import Tensor

from .token_reducer import TokenReducer, TokenState, is_integer


class DropNeck(TokenReducer):
    """Keep ``K = ceil(token_keep_ratio * N)`` tokens, of all by default 70 %, and drop the rest."""

    drops_tokens = True
    shown: tuple[str, ...] = ('token_keep_ratio', )

    def __init__(self, token_keep_ratio: float = 0.7) -> None:
        super().__init__(token_keep_ratio)

    @abstractmethod
    def choose(self, state: TokenState, num_keep: int) -> Tensor:
        """Choose the K tokens to keep: ``(B, K)`` int64, in [0, N), ascending."""

    def forward(self, state: TokenState) -> TokenState:
        """Reduce N tokens to K, in their order and with unchanged features."""
        return state.keep(self.choose(state, self.num_left(state.num_tokens, state.step)))


@MODELS.register_module()
class KeepFirstNeck(DropNeck):
    """Keep the first K tokens: a free reducer, the upper bound in studies of speed."""

    def choose(self, state: TokenState, num_keep: int) -> Tensor:
        return torch.arange(num_keep, device=state.x.device).expand(len(state.x), -1)


@MODELS.register_module()
class RandomDropNeck(DropNeck):
    """Keep K random tokens.

    In training each clip draws its own, from torch's global generator. In testing the draw
    depends on ``seed`` and the reduction alone: the same positions for every clip, so that a
    result depends neither on the batch around a clip nor on the order of the clips.

    Args:
        token_keep_ratio (float): See :class:`TokenReducer`. Defaults to 0.7.
        seed (int): Seed of the draw in testing, at least 0. Defaults to 0.

    Raises:
        TypeError, ValueError: If the seed is not an integer, or negative.
    """

    def __init__(self, token_keep_ratio: float = 0.7, seed: int = 0) -> None:
        super().__init__(token_keep_ratio)
        if not is_integer(seed):
            raise TypeError(f'seed must be an integer, but got {seed!r}')
        if seed < 0:
            raise ValueError(f'seed must be at least 0, but got {seed}')
        self.seed = seed

    def choose(self, state: TokenState, num_keep: int) -> Tensor:
        batch, num_tokens, _ = state.x.shape
        if self.training:
            draw = torch.rand(batch, num_tokens, device=state.x.device)
        else:
            # drawn on the CPU: generators of other devices give other numbers
            generator = torch.Generator().manual_seed(1000 * self.seed + state.step)
            draw = torch.rand(num_tokens, generator=generator).to(state.x.device).expand(batch, -1)
        return draw.argsort(dim=1)[:, :num_keep].sort(dim=1).values


@MODELS.register_module()
class UniformDropNeck(DropNeck):
    """Keep K tokens spread evenly over space and time.

    Tokens stay in ascending order of ``frac(position * golden ratio)``, where ``position``
    counts the grid row by row and frame by frame. Such a sequence fills every interval evenly,
    so that frames, rows and columns keep nearly equal shares, and a further reduction thins out
    the same pattern.
    """

    def choose(self, state: TokenState, num_keep: int) -> Tensor:
        # float64: a float32 product of 1568 would leave only four digits of the fraction
        rank = state.position.double() * ((5**.5 - 1) / 2) % 1
        return rank.argsort(dim=1, stable=True)[:, :num_keep].sort(dim=1).values

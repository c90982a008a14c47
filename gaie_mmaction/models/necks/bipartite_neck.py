"""Number of tokens that a reducer by bipartite matching merges in each of its blocks."""
from collections.abc import Sequence

from .token_reducer import TokenReducer, TokenState, is_integer

SCHEDULES = ('constant', 'decreasing')


class BipartiteNeck(TokenReducer):
    """Base class of reducers that merge r tokens per block by bipartite matching.

    The backbone's final mean is weighted by size.

    Args:
        token_keep_ratio (float, optional): Share of the tokens that stay, in [0.5, 1]:
            ``K = ceil(token_keep_ratio * N)``. Either this or ``r``. Defaults to None.
        r (int or Sequence[int], optional): Tokens merged per block, or one number per block in
            ascending order of the blocks; at most half of a block's tokens. Defaults to None.
        schedule (str): For a single ``r``: ``'constant'``, or ``'decreasing'``, linearly from
            ``2 r`` in the first block to 0 in the last, rounded down (ToMe, merging schedules).
            Defaults to ``'constant'``.
        prop_attn (bool): Proportional attention in later blocks. Defaults to True.

    Raises:
        TypeError: If ``r`` holds anything but integers.
        ValueError: If not exactly one of ``token_keep_ratio`` and ``r`` is given, a value is out
            of range, or, in :meth:`setup`, a block has too few tokens or the number of blocks
            differs.
    """

    shown = ('token_keep_ratio', 'r', 'schedule', 'prop_attn')

    def __init__(self, token_keep_ratio: float | None = None,
                 r: int | Sequence[int] | None = None, schedule: str = 'constant',
                 prop_attn: bool = True) -> None:
        super().__init__(token_keep_ratio, prop_attn)
        self.weighted_mean = True  # a merged token counts as often as the tokens in it
        if (token_keep_ratio is None) == (r is None):
            raise ValueError('exactly one of token_keep_ratio and r must be given, but got '
                             f'token_keep_ratio={token_keep_ratio} and r={r}')
        if token_keep_ratio is not None and token_keep_ratio < .5:
            raise ValueError('token_keep_ratio must be in [0.5, 1], since bipartite matching '
                             f'merges at most half of the tokens, but got {token_keep_ratio}')
        if schedule not in SCHEDULES:
            raise ValueError(f'schedule must be one of {SCHEDULES}, but got {schedule!r}')
        if schedule != 'constant' and not is_integer(r):
            raise ValueError(f'schedule {schedule!r} needs a single r, but got r={r}')
        for number in r if isinstance(r, Sequence) else () if r is None else (r, ):
            if not is_integer(number):
                raise TypeError(f'r must be integers, but got {number!r}')
            if number < 0:
                raise ValueError(f'r must be at least 0, but got {number}')
        self.r = r
        self.schedule = schedule
        self.num_merge: Sequence[int] | None = None  # one number per block, set by setup()

    def setup(self, num_tokens: int, num_reductions: int) -> None:
        # before super(), which asks num_left() for every block
        if self.r is not None:
            self.num_merge = self._schedule(self.r, num_reductions)
        super().setup(num_tokens, num_reductions)

    def num_left(self, num_tokens: int, step: int) -> int:
        if self.r is None:
            return super().num_left(num_tokens, step)
        if self.num_merge is None:
            raise RuntimeError(f'{type(self).__name__} with r must be built as the neck of a '
                               'backbone, which determines the number of blocks')
        number = self.num_merge[step]
        if number > num_tokens // 2:
            raise ValueError(f'r must be at most half of the tokens, {num_tokens // 2} of the '
                             f'{num_tokens} in the merging block {step + 1} of '
                             f'{len(self.num_merge)}, but got {number}')
        return num_tokens - number

    def num_merged(self, state: TokenState) -> int:
        """Number of tokens r that the next reduction merges."""
        return state.num_tokens - self.num_left(state.num_tokens, state.step)

    def _schedule(self, r: int | Sequence[int], num_blocks: int) -> Sequence[int]:
        if isinstance(r, Sequence):
            if len(r) != num_blocks:
                raise ValueError(f'r must have one number for each of the {num_blocks} blocks of '
                                 f'merge_layers, but got {len(r)}: {tuple(r)}')
            return tuple(r)
        if self.schedule == 'constant' or num_blocks == 1:
            return (r, ) * num_blocks
        last = num_blocks - 1
        return tuple(2 * r * (last - block) // last for block in range(num_blocks))

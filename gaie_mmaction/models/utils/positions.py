"""Grid of tokens, and position tables of other grids.

Shapes: B batch, C channels, T frames, H and W pixels, (T', H', W') the grid of tokens.
"""
import torch.nn.functional as F
from torch import Tensor


def token_grid(x: Tensor, tubelet: tuple[int, int, int]) -> tuple[int, int, int]:
    """Grid (T', H', W') of the tokens that a ``(B, C, T, H, W)`` input gives.

    Raises:
        ValueError: If the input's sizes are not multiples of the tubelet's.
    """
    if x.dim() != 5:
        raise ValueError(f'the input must be (B, C, T, H, W), but got {tuple(x.shape)}')
    for name, length, step in zip(('frames', 'height', 'width'), x.shape[2:], tubelet):
        if length < step or length % step:
            raise ValueError(f'the input\'s {name} must be a multiple of {step}, but got '
                             f'{length} in {tuple(x.shape)}')
    frames, height, width = (length // step for length, step in zip(x.shape[2:], tubelet))
    return frames, height, width


def resize_positions(table: Tensor, grid: tuple[int, int, int],
                     new_grid: tuple[int, int, int]) -> Tensor:
    """Position table of another grid. Space is bicubic, as MMAction2's; time is linear.

    Args:
        table (Tensor): ``(1, T'H'W', C)`` of ``grid``, (T', H', W').
        grid (tuple[int]): Its grid.
        new_grid (tuple[int]): The grid wanted.

    Returns:
        Tensor: ``(1, T'H'W', C)`` of ``new_grid``; ``table`` itself for the same grid.
    """
    if new_grid == grid:
        return table
    table = table.unflatten(1, grid)[0].permute(0, 3, 1, 2)  # (T', C, H', W')
    if new_grid[1:] != grid[1:]:
        table = F.interpolate(table, size=new_grid[1:], mode='bicubic', align_corners=False)
    if new_grid[0] != grid[0]:
        # (T', C, H', W') -> (1, C H' W', T') -> back
        flat = table.flatten(1).t().unsqueeze(0)
        flat = F.interpolate(flat, size=new_grid[0], mode='linear', align_corners=False)
        table = flat[0].t().reshape(new_grid[0], *table.shape[1:])
    return table.permute(0, 2, 3, 1).flatten(0, 2).unsqueeze(0)

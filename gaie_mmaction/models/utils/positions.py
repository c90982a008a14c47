"""Token grids and position tables for other input sizes.

Shapes: B batch, C channels, T frames, H and W pixels, (T', H', W') the grid of tokens.
"""
import torch.nn.functional as F
from torch import Tensor


def token_grid(x: Tensor, tubelet: tuple[int, int, int]) -> tuple[int, int, int]:
    """Grid (T', H', W') of the tokens of a ``(B, C, T, H, W)`` input."""
    if x.dim() != 5:
        raise ValueError(f'the input must be (B, C, T, H, W), but got {tuple(x.shape)}')
    # the convolution would silently cut off the rest
    for name, length, step in zip(('frames', 'height', 'width'), x.shape[2:], tubelet):
        if length < step or length % step:
            raise ValueError(f"the input's {name} must be a multiple of {step}, but got "
                             f'{length} in {tuple(x.shape)}')
    return x.shape[2] // tubelet[0], x.shape[3] // tubelet[1], x.shape[4] // tubelet[2]


def resize_positions(table: Tensor, grid: tuple[int, int, int],
                     new_grid: tuple[int, int, int]) -> Tensor:
    """Interpolate a ``(1, T'H'W', C)`` position table from one (T', H', W') grid to another."""
    if new_grid == grid:
        return table
    table = table.unflatten(1, grid)[0].permute(0, 3, 1, 2)  # (T', C, H', W')
    if new_grid[1:] != grid[1:]:
        # bicubic, as upstream
        table = F.interpolate(table, size=new_grid[1:], mode='bicubic', align_corners=False)
    if new_grid[0] != grid[0]:
        # (T', C, H', W') -> (1, C H' W', T') -> back
        flat = table.flatten(1).t().unsqueeze(0)
        flat = F.interpolate(flat, size=new_grid[0], mode='linear', align_corners=False)
        table = flat[0].t().reshape(new_grid[0], *table.shape[1:])
    return table.permute(0, 2, 3, 1).flatten(0, 2).unsqueeze(0)

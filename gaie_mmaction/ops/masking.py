"""Random masks for masked video modelling.

Shapes: B batch, (T', H', W') the grid of tokens, N = T'H'W' tokens.
"""
import torch
from torch import Tensor


def tube_mask(batch: int, grid: tuple[int, int, int], ratio: float,
              generator: torch.Generator | None = None) -> Tensor:
    """Hide the same random places in every frame of a clip ("VideoMAE", NeurIPS 2022, section 3.2).

    Args:
        batch (int): B; each clip draws its own places.
        grid (tuple[int]): (T', H', W').
        ratio (float): Share of the places to hide, in (0, 1).
        generator (torch.Generator, optional): Source of the draw. Defaults to PyTorch's global CPU
            generator.

    Returns:
        Tensor: ``(B, N)`` bool, True = hidden; exactly ``int(ratio * H'W')`` in each frame.

    Raises:
        ValueError: If the ratio hides no place or all of them.
    """
    frames, height, width = grid
    places = height * width
    num_hidden = int(ratio * places)
    if not 0 < num_hidden < places:
        raise ValueError(f'the mask ratio must hide at least one and not all of the {places} '
                         f'places of a frame, but {ratio} hides {num_hidden}')
    # drawn on the CPU: the same masks on every device
    device = 'cpu' if generator is None else generator.device
    order = torch.rand(batch, places, generator=generator, device=device).argsort(dim=1)
    mask = torch.zeros(batch, places, dtype=torch.bool, device=device)
    mask.scatter_(1, order[:, :num_hidden], True)
    return mask.repeat(1, frames)  # (B, H'W') -> (B, T'H'W')

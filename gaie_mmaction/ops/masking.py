"""Random masks for masked modelling of videos and skeletons.

Shapes: B batch, (T', H', W') the grid of tokens of a video, N tokens.
"""
import torch
from torch import Tensor


def tube_mask(batch: int, grid: tuple[int, int, int], ratio: float,
              generator: torch.Generator | None = None) -> Tensor:
    """Hide the same random places in every frame of a clip ("VideoMAE", NeurIPS 2022, section 3.2).

    Args:
        batch (int): B; each clip draws its own places.
        grid (tuple[int]): (T', H', W'). (1, 1, N) hides tokens independently of their frame.
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
    num_hidden = _num_hidden(ratio, places, 'places')
    # drawn on the CPU: the same masks on every device
    device = 'cpu' if generator is None else generator.device
    order = torch.rand(batch, places, generator=generator, device=device).argsort(dim=1)
    mask = torch.zeros(batch, places, dtype=torch.bool, device=device)
    mask.scatter_(1, order[:, :num_hidden], True)
    return mask.repeat(1, frames)  # (B, H'W') -> (B, T'H'W')


def motion_mask(motion: Tensor, ratio: float, temperature: float,
                generator: torch.Generator | None = None) -> Tensor:
    """Hide tokens at random, those that move more often ("MAMP", arXiv 2308.09975, section 3.4).

    Draws without replacement with probabilities ``softmax(motion / (max(motion) * temperature))``,
    by Gumbel noise on their logarithms; the maximum is the clip's own.

    Args:
        motion (Tensor): ``(B, N)``, at least 0: how much each token moves. A clip without any
            motion has equal probabilities.
        ratio (float): Share of the tokens to hide, in (0, 1).
        temperature (float): Above 0; the lower, the more often moving tokens are hidden.
        generator (torch.Generator, optional): Source of the draw. Defaults to PyTorch's global CPU
            generator.

    Returns:
        Tensor: ``(B, N)`` bool, True = hidden; exactly ``int(ratio * N)`` in each clip.

    Raises:
        ValueError: If the ratio hides no token or all of them, or the temperature is not positive.
    """
    num_hidden = _num_hidden(ratio, motion.shape[1], 'tokens')
    if not temperature > 0:
        raise ValueError(f'the temperature must be above 0, but got {temperature}')
    device = 'cpu' if generator is None else generator.device
    motion = motion.float().to(device)
    logits = motion / (motion.amax(dim=1, keepdim=True) * temperature + 1e-10)
    # softmax would only shift them; the noise is -log of exponential noise
    noise = torch.empty_like(logits).exponential_(generator=generator).log()
    hidden = (logits - noise).topk(num_hidden, dim=1).indices
    return torch.zeros_like(logits, dtype=torch.bool).scatter_(1, hidden, True)


def _num_hidden(ratio: float, number: int, unit: str) -> int:
    num_hidden = int(ratio * number)
    if not 0 < num_hidden < number:
        raise ValueError(f'the mask ratio must hide at least one and not all of the {number} '
                         f'{unit}, but {ratio} hides {num_hidden}')
    return num_hidden

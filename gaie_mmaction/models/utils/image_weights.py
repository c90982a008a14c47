"""Weights of an image ViT as those of a video ViT ("ViViT", ICCV 2021, section 3.4).

Letters: C channels of a token, p pixels of a patch's side, t frames of a tubelet,
(T', H', W') the grid of tokens.
"""
import math
import re

import torch
from torch import Tensor

from .positions import resize_positions

# names of timm and of MMPretrain -> ours
RENAMES = (
    (r'^backbone\.', ''),
    (r'^patch_embed\.proj\.', 'patch_embed.projection.'),
    (r'^layers\.', 'blocks.'),
    (r'\.ln([12])\.', r'.norm\1.'),
    (r'\.ffn\.', '.mlp.'),
    (r'\.mlp\.fc1\.', '.mlp.layers.0.0.'),
    (r'\.mlp\.fc2\.', '.mlp.layers.1.'),
    (r'^(norm|ln1)\.', 'fc_norm.'),
)
# The classifier, and the class token, which ViViT's mean of all tokens does without.
NOT_TAKEN = re.compile(r'^(head|pre_logits|cls_token)')


def inflate_filter(weight: Tensor, tubelet_size: int) -> Tensor:
    """Filter inflation (equation 8): the image's filter in every frame, divided by t.

    Args:
        weight (Tensor): ``(C, in, p, p)`` patch embedding of an image ViT.
        tubelet_size (int): Frames t of a tubelet.

    Returns:
        Tensor: ``(C, in, t, p, p)``. On a clip that stands still it gives what
        ``weight`` gives on its frame.
    """
    return weight.unsqueeze(2).repeat(1, 1, tubelet_size, 1, 1) / tubelet_size


def central_frame_filter(weight: Tensor, tubelet_size: int) -> Tensor:
    """Central frame initialisation (equation 9): the filter in frame t // 2, else zeros.

    Args:
        weight (Tensor): ``(C, in, p, p)`` patch embedding of an image ViT.
        tubelet_size (int): Frames t of a tubelet.

    Returns:
        Tensor: ``(C, in, t, p, p)``. It gives what ``weight`` gives on frame t // 2 (0-based).
    """
    filters = torch.zeros_like(weight).unsqueeze(2).repeat(1, 1, tubelet_size, 1, 1)
    filters[:, :, tubelet_size // 2] = weight
    return filters


TUBELET_INITS = {'central_frame': central_frame_filter, 'filter_inflation': inflate_filter}


def convert_image_vit(weights: dict[str, Tensor], *, tubelet_size: int, tubelet_init: str,
                      grid: tuple[int, int, int]) -> dict[str, Tensor]:
    """Convert the state_dict of an image ViT.

    The positions are resized in space where the image had another size, and
    repeated for each of the T' frames. A bias of the keys is left out: it adds the
    same to all logits of a query, which a softmax does not see.

    Args:
        weights (dict[str, Tensor]): timm's or MMPretrain's names.
        tubelet_size (int): Frames t of a tubelet.
        tubelet_init (str): ``'central_frame'`` or ``'filter_inflation'``.
        grid (tuple[int]): (T', H', W') of the position table.

    Returns:
        dict[str, Tensor]: Keys of ``ViViT``, without those that have "temporal" in
        their names, which an image ViT does not have.

    Raises:
        ValueError: If these are not the weights of an image ViT.
    """
    renamed = {}
    recognizer = any(key.startswith('backbone.') for key in weights)
    for key, value in weights.items():
        if recognizer and not key.startswith('backbone.'):
            continue
        for pattern, replacement in RENAMES:
            key = re.sub(pattern, replacement, key)
        renamed[key] = value
    patch = renamed.get('patch_embed.projection.weight')
    if patch is None or patch.dim() != 4 or 'pos_embed' not in renamed:
        found = 'none' if patch is None else str(tuple(patch.shape))
        raise ValueError(
            'an image ViT of timm or MMPretrain has pos_embed and a patch embedding (C, in, p, p), '
            f'but found the patch embedding {found} among {len(weights)} keys such as '
            f'{list(weights)[:3]}')

    converted = {'pos_embed': _repeat_positions(
        renamed['pos_embed'], int('cls_token' in renamed), grid)}
    for key, value in renamed.items():
        if key == 'patch_embed.projection.weight':
            converted[key] = TUBELET_INITS[tubelet_init](value, tubelet_size)
        elif key.endswith('.attn.qkv.bias'):
            q_bias, _, v_bias = value.chunk(3)
            converted[key.replace('qkv.bias', 'q_bias')] = q_bias
            converted[key.replace('qkv.bias', 'v_bias')] = v_bias
        elif key != 'pos_embed' and not NOT_TAKEN.match(key):
            converted[key] = value
    return converted


def _repeat_positions(table: Tensor, extra_tokens: int, grid: tuple[int, int, int]) -> Tensor:
    """``(1, extra + H'W', C)`` of an image -> ``(1, T'H'W', C)``."""
    places = table[:, extra_tokens:]
    side = math.isqrt(places.shape[1])
    if side**2 != places.shape[1]:
        raise ValueError(f'the {places.shape[1]} positions of an image ViT must be a square, '
                         f'but pos_embed is {tuple(table.shape)}')
    return resize_positions(places, (1, side, side), (1, *grid[1:])).repeat(1, grid[0], 1)

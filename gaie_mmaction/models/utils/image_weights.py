"""Weights of an image ViT for a video ViT ("ViViT", ICCV 2021, section 3.4).

Shapes: C channels of a token, p pixels of a patch's side, t frames of a tubelet, (T', H', W') the
grid of tokens.
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
# the classifier, and the class token, which a mean of all tokens does without
SKIPPED = re.compile(r'^(head|pre_logits|cls_token)')


def inflate_filter(weight: Tensor, tubelet_size: int) -> Tensor:
    """``(C, in, p, p)`` -> ``(C, in, t, p, p)``: the filter over t in every frame (equation 8)."""
    # divided, so that a still clip gives what the image filter gives on its frame
    return weight.unsqueeze(2).repeat(1, 1, tubelet_size, 1, 1) / tubelet_size


def central_frame_filter(weight: Tensor, tubelet_size: int) -> Tensor:
    """``(C, in, p, p)`` -> ``(C, in, t, p, p)``: zeros but in frame t // 2 (equation 9)."""
    filters = torch.zeros_like(weight).unsqueeze(2).repeat(1, 1, tubelet_size, 1, 1)
    filters[:, :, tubelet_size // 2] = weight
    return filters


TUBELET_INITS = {'central_frame': central_frame_filter, 'filter_inflation': inflate_filter}


def convert_image_vit(weights: dict[str, Tensor], *, tubelet_size: int, tubelet_init: str,
                      grid: tuple[int, int, int]) -> dict[str, Tensor]:
    """Convert a state_dict of timm or MMPretrain to ``ViViT``'s keys, for a (T', H', W') grid.

    Its positions are resized and repeated; "temporal" keys are not there. ``tubelet_init`` is a
    key of ``TUBELET_INITS``. Weights that are not of an image ViT are a ``ValueError``.
    """
    # a classifier of MMPretrain holds the ViT under this prefix, beside its head
    if any(key.startswith('backbone.') for key in weights):
        weights = {key: weights[key] for key in weights if key.startswith('backbone.')}
    renamed = {}
    for key, value in weights.items():
        for pattern, replacement in RENAMES:
            key = re.sub(pattern, replacement, key)
        renamed[key] = value
    patch = renamed.get('patch_embed.projection.weight')
    if patch is None or patch.dim() != 4 or 'pos_embed' not in renamed:
        found = 'none' if patch is None else str(tuple(patch.shape))
        raise ValueError('an image ViT of timm or MMPretrain has pos_embed and a patch embedding '
                         f'(C, in, p, p), but found the patch embedding {found} among '
                         f'{len(weights)} keys such as {list(weights)[:3]}')
    converted = {}
    for key, value in renamed.items():
        if key == 'patch_embed.projection.weight':
            converted[key] = TUBELET_INITS[tubelet_init](value, tubelet_size)
        elif key == 'pos_embed':
            places = value[:, int('cls_token' in renamed):]  # (1, H'W', C)
            side = math.isqrt(places.shape[1])
            if side**2 != places.shape[1]:
                raise ValueError(f'the {places.shape[1]} positions of an image ViT must be a '
                                 f'square, but pos_embed is {tuple(value.shape)}')
            places = resize_positions(places, (1, side, side), (1, *grid[1:]))
            converted[key] = places.repeat(1, grid[0], 1)
        elif key.endswith('.attn.qkv.bias'):
            # a key bias adds the same to all logits of a query, which softmax ignores
            q_bias, _, v_bias = value.chunk(3)
            converted[key.replace('qkv.bias', 'q_bias')] = q_bias
            converted[key.replace('qkv.bias', 'v_bias')] = v_bias
        elif not SKIPPED.match(key):
            converted[key] = value
    return converted

"""Convert an official VideoMAE finetune checkpoint to MMAction2's names.

The result is loaded strictly by a Recognizer3D with MMAction2's
VisionTransformer or this package's GAIEVisionTransformer, and a TimeSformerHead.
"""
import argparse
import os
import re
import sys
from collections import OrderedDict

import torch
from torch import Tensor

# first: mmaction.models needs the workarounds that the package applies
from gaie_mmaction.policy import load_checkpoint_safely
from gaie_mmaction.utils.files import atomic_file

from mmaction.models.backbones.vit_mae import get_sinusoid_encoding  # isort: skip

# official name -> ours
RENAMES = (
    (re.compile(r'^patch_embed\.proj\.'), 'backbone.patch_embed.projection.'),
    (re.compile(r'^(blocks\.\d+\.mlp)\.fc1\.'), r'backbone.\1.layers.0.0.'),
    (re.compile(r'^(blocks\.\d+\.mlp)\.fc2\.'), r'backbone.\1.layers.1.'),
    (re.compile(r'^(blocks\.\d+\.(?:norm[12]|attn)\.|blocks\.\d+\.gamma_[12]$|fc_norm\.|norm\.)'),
     r'backbone.\1'),
    (re.compile(r'^pos_embed$'), 'backbone.pos_embed'),
    (re.compile(r'^head\.'), 'cls_head.fc_cls.'),
)
BLOCK_KEYS = ('norm1.weight', 'norm1.bias', 'attn.qkv.weight', 'attn.proj.weight', 'attn.proj.bias',
              'norm2.weight', 'norm2.bias', 'mlp.layers.0.0.weight', 'mlp.layers.0.0.bias',
              'mlp.layers.1.weight', 'mlp.layers.1.bias')


class ConversionError(Exception):
    """The checkpoint is not what can be converted; the message says why."""


def load_official(path: str) -> dict[str, Tensor]:
    """Weights of an official checkpoint, which lie under ``module`` or ``model``.

    The files also hold the training script's ``argparse.Namespace``: it and
    nothing else is allowed beyond tensors and plain containers.

    Raises:
        ConversionError: If the file cannot be read safely, or holds no such weights.
    """
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            checkpoint = load_checkpoint_safely(path, map_location='cpu')
    except RuntimeError as error:
        raise ConversionError(str(error)) from error
    for key in ('module', 'model'):
        if isinstance(checkpoint, dict) and key in checkpoint:
            return checkpoint[key]
    found = list(checkpoint)[:5] if isinstance(checkpoint, dict) else type(checkpoint).__name__
    raise ConversionError(f'{path} has its weights under neither module nor model, but holds '
                          f'{found}: give an official finetune checkpoint')


def convert(weights: dict[str, Tensor], num_tokens: int | None = None) -> 'OrderedDict':
    """Rename all weights.

    Args:
        weights (dict[str, Tensor]): Official names.
        num_tokens (int, optional): Length of the fixed sine-cosine position table,
            which official files do not hold. Defaults to that of 16 frames at
            224x224 with the file's tubelet.

    Returns:
        OrderedDict: MMAction2's names.

    Raises:
        ConversionError: If a key is left over or missing; all are listed.
    """
    if any(key.startswith(('encoder.', 'decoder.')) for key in weights):
        raise ConversionError('this is a pre-training checkpoint (it has encoder. and decoder. '
                              'keys): give a finetuned one, whose keys begin with blocks.')
    converted, left_over = OrderedDict(), []
    for key, value in weights.items():
        for pattern, name in RENAMES:
            renamed, hits = pattern.subn(name, key)
            if hits:
                converted[renamed] = value
                break
        else:
            left_over.append(key)
    projection = converted.get('backbone.patch_embed.projection.weight')
    if 'backbone.pos_embed' not in converted and projection is not None:
        dims, _, tubelet, height, width = projection.shape
        if num_tokens is None:
            num_tokens = 16 // tubelet * (224 // height) * (224 // width)
        converted['backbone.pos_embed'] = get_sinusoid_encoding(num_tokens, dims)
    missing = sorted(_expected(converted) - set(converted))
    unknown = sorted(set(converted) - _expected(converted))
    if left_over or missing or unknown:
        lines = [f'left over: {key}' for key in left_over + unknown]
        lines += [f'missing: {key}' for key in missing]
        raise ConversionError('the keys do not fit:\n  ' + '\n  '.join(lines))
    return converted


def _expected(converted: dict[str, Tensor]) -> set:
    """All names of a finetuned model with the depth and the options seen in the file."""
    blocks = {int(key.split('.')[2]) for key in converted if key.startswith('backbone.blocks.')}
    per_block = list(BLOCK_KEYS)
    for pair in (('attn.q_bias', 'attn.v_bias'), ('gamma_1', 'gamma_2')):
        if any(key.endswith(name) for key in converted for name in pair):
            per_block += pair
    names = {f'backbone.blocks.{block}.{key}'
             for block in range(max(blocks, default=0) + 1) for key in per_block}
    norm = 'norm' if 'backbone.norm.weight' in converted else 'fc_norm'
    names |= {f'backbone.{norm}.weight', f'backbone.{norm}.bias', 'backbone.pos_embed'}
    names |= {'backbone.patch_embed.projection.weight', 'backbone.patch_embed.projection.bias'}
    return names | {'cls_head.fc_cls.weight', 'cls_head.fc_cls.bias'}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('src', help='official finetune checkpoint')
    parser.add_argument('dst', help='file to write')
    parser.add_argument('--num-tokens', type=int,
                        help='length of the fixed position table (default: that of 16 frames at '
                        '224x224)')
    args = parser.parse_args()
    if not os.path.isfile(args.src):
        sys.exit(f'{args.src} does not exist')
    try:
        state_dict = convert(load_official(args.src), args.num_tokens)
    except ConversionError as error:
        sys.exit(f'{args.src}: {error}')
    with atomic_file(args.dst) as partial:
        torch.save(dict(meta=dict(), state_dict=state_dict), partial)
    print(f'{len(state_dict)} tensors are written to {args.dst}')


if __name__ == '__main__':
    main()

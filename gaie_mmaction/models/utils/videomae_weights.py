"""Official VideoMAE finetuned weights under MMAction2's names."""
import argparse
import re

import torch
from mmaction.models.backbones.vit_mae import get_sinusoid_encoding
from torch import Tensor

from ...policy import load_checkpoint_safely

# official name -> ours
RENAMES = (
    (r'^patch_embed\.proj\.', 'backbone.patch_embed.projection.'),
    (r'^(blocks\.\d+\.mlp)\.fc1\.', r'backbone.\1.layers.0.0.'),
    (r'^(blocks\.\d+\.mlp)\.fc2\.', r'backbone.\1.layers.1.'),
    (r'^(blocks\.\d+\.(?:norm[12]|attn)\.|blocks\.\d+\.gamma_[12]$|fc_norm\.|norm\.)',
     r'backbone.\1'),
    (r'^pos_embed$', 'backbone.pos_embed'),
    (r'^head\.', 'cls_head.fc_cls.'),
)
LAYERS = ('norm1', 'norm2', 'attn.proj', 'mlp.layers.0.0', 'mlp.layers.1')


def load_videomae(path: str) -> dict[str, Tensor]:
    """Load the weights of an official checkpoint, which are under ``module`` or ``model``."""
    try:
        # the files also hold the training script's arguments
        with torch.serialization.safe_globals([argparse.Namespace]):
            checkpoint = load_checkpoint_safely(path, map_location='cpu')
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    for key in ('module', 'model'):
        if isinstance(checkpoint, dict) and key in checkpoint:
            return checkpoint[key]
    found = list(checkpoint)[:5] if isinstance(checkpoint, dict) else type(checkpoint).__name__
    raise ValueError(f'{path} has its weights under neither module nor model, but holds {found}: '
                     'give an official finetune checkpoint')


def convert_videomae(
        weights: dict[str, Tensor], num_tokens: int | None = None) -> dict[str, Tensor]:
    """Rename all weights, for strict loading into a ``Recognizer3D``.

    Its backbone is MMAction2's ``VisionTransformer`` or ``GAIEVisionTransformer``, its head
    ``TimeSformerHead``. Official files hold no sine-cosine position table: it gets ``num_tokens``
    places, by default those of 16 frames at 224x224 with the file's tubelet.

    Raises:
        ValueError: If keys are unexpected or missing; all are listed.
    """
    if any(key.startswith(('encoder.', 'decoder.')) for key in weights):
        raise ValueError('this is a pre-training checkpoint (it has encoder. and decoder. keys): '
                         'give a finetuned one, whose keys start with blocks.')
    converted, left_over = {}, []
    for key, value in weights.items():
        renamed = next((re.sub(pattern, name, key) for pattern, name in RENAMES
                        if re.match(pattern, key)), None)
        if renamed is None:
            left_over.append(key)
        else:
            converted[renamed] = value
    projection = converted.get('backbone.patch_embed.projection.weight')
    if 'backbone.pos_embed' not in converted and projection is not None:
        dims, _, tubelet, height, width = projection.shape
        if num_tokens is None:
            num_tokens = 16 // tubelet * (224 // height) * (224 // width)
        converted['backbone.pos_embed'] = get_sinusoid_encoding(num_tokens, dims)
    expected = _expected_keys(converted)
    problems = [f'left over: {key}' for key in (*left_over, *sorted(set(converted) - expected))]
    problems += [f'missing: {key}' for key in sorted(expected - set(converted))]
    if problems:
        raise ValueError('the keys do not fit:\n  ' + '\n  '.join(problems))
    return converted


def _expected_keys(converted: dict[str, Tensor]) -> set[str]:
    """All names of a finetuned model with the depth and the options seen in the file."""
    layers = [f'{layer}.{kind}' for layer in LAYERS for kind in ('weight', 'bias')]
    layers.append('attn.qkv.weight')
    for pair in (('attn.q_bias', 'attn.v_bias'), ('gamma_1', 'gamma_2')):
        if any(key.endswith(pair) for key in converted):
            layers += pair
    blocks = [int(key.split('.')[2]) for key in converted if key.startswith('backbone.blocks.')]
    names = {f'backbone.blocks.{block}.{layer}'
             for block in range(max(blocks, default=0) + 1) for layer in layers}
    norm = 'backbone.norm' if 'backbone.norm.weight' in converted else 'backbone.fc_norm'
    for layer in (norm, 'backbone.patch_embed.projection', 'cls_head.fc_cls'):
        names |= {f'{layer}.weight', f'{layer}.bias'}
    return names | {'backbone.pos_embed'}

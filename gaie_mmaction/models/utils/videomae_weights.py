"""Official VideoMAE weights under MMAction2's names."""
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
# of pretraining: the encoder's norm is the one before the readout of a backbone with mean pooling
PRETRAINING_RENAMES = (
    (r'^encoder\.norm\.', 'backbone.fc_norm.'),
    (r'^encoder\.patch_embed\.proj\.', 'backbone.patch_embed.projection.'),
    (r'^encoder\.(blocks\.\d+\.mlp)\.fc1\.', r'backbone.\1.layers.0.0.'),
    (r'^encoder\.(blocks\.\d+\.mlp)\.fc2\.', r'backbone.\1.layers.1.'),
    (r'^encoder\.', 'backbone.'),
    (r'^(decoder\.blocks\.\d+\.mlp)\.fc1\.', r'\1.layers.0.0.'),
    (r'^(decoder\.blocks\.\d+\.mlp)\.fc2\.', r'\1.layers.1.'),
    (r'^(decoder\.|encoder_to_decoder\.weight$|mask_token$)', r'\1'),
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
                     'give an official checkpoint')


def convert_videomae(
        weights: dict[str, Tensor], num_tokens: int | None = None) -> dict[str, Tensor]:
    """Rename all weights, for strict loading.

    Finetuned ones are for a ``Recognizer3D`` with MMAction2's ``VisionTransformer`` or
    ``GAIEVisionTransformer`` and a ``TimeSformerHead``, those of pretraining (encoder and
    decoder) for a ``MaskedVideoModel``. Official files hold no sine-cosine position table: it
    gets ``num_tokens`` places, by default those of 16 frames at 224x224 with the file's tubelet.

    Raises:
        ValueError: If keys are unexpected or missing; all are listed.
    """
    pretraining = any(key.startswith('encoder.') for key in weights)
    converted, left_over = {}, []
    for key, value in weights.items():
        renamed = next((re.sub(pattern, name, key)
                        for pattern, name in (PRETRAINING_RENAMES if pretraining else RENAMES)
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
    expected = _expected_keys(converted, pretraining)
    problems = [f'left over: {key}' for key in (*left_over, *sorted(set(converted) - expected))]
    problems += [f'missing: {key}' for key in sorted(expected - set(converted))]
    if problems:
        raise ValueError('the keys do not fit:\n  ' + '\n  '.join(problems))
    return converted


def _expected_keys(converted: dict[str, Tensor], pretraining: bool) -> set[str]:
    """All names of a model with the depth and the options seen in the file."""
    layers = [f'{layer}.{kind}' for layer in LAYERS for kind in ('weight', 'bias')]
    layers.append('attn.qkv.weight')
    for pair in (('attn.q_bias', 'attn.v_bias'), ('gamma_1', 'gamma_2')):
        if any(key.endswith(pair) for key in converted):
            layers += pair
    names = {'backbone.pos_embed'}
    for part in ('backbone', 'decoder')[:1 + pretraining]:
        blocks = [int(key.split('.')[2]) for key in converted if key.startswith(f'{part}.blocks.')]
        names |= {f'{part}.blocks.{block}.{layer}'
                  for block in range(max(blocks, default=0) + 1) for layer in layers}
    norm = 'backbone.norm' if 'backbone.norm.weight' in converted else 'backbone.fc_norm'
    if pretraining:
        names |= {'mask_token', 'encoder_to_decoder.weight'}
    heads = ('decoder.norm', 'decoder.head') if pretraining else ('cls_head.fc_cls', )
    for layer in (norm, 'backbone.patch_embed.projection', *heads):
        names |= {f'{layer}.weight', f'{layer}.bias'}
    return names

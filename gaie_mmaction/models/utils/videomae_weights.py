"""Weights of VideoMAE, VideoMAE V2 and UMT under MMAction2's names."""
import argparse
import re

import torch
from mmaction.models.backbones.vit_mae import get_sinusoid_encoding
from torch import Tensor

from ...policy import load_checkpoint_safely

# what torch.compile, DataParallel and other trainers put before a name
WRAPPERS = r'^(_orig_mod\.|module\.|backbone\.)+'
# official name -> ours
RENAMES = (
    (r'\bpatch_embed\.proj\.', 'patch_embed.projection.'),
    (r'\b(blocks\.\d+\.mlp)\.fc1\.', r'\1.layers.0.0.'),
    (r'\b(blocks\.\d+\.mlp)\.fc2\.', r'\1.layers.1.'),
    (r'^head\.', 'cls_head.fc_cls.'),
    # the norm before the readout of a backbone with mean pooling
    (r'^encoder\.norm\.', 'encoder.fc_norm.'),
    (r'^encoder\.|^(?!cls_head\.|decoder\.|encoder_to_decoder\.|mask_token$)', 'backbone.'),
)
# channels -> heads of ViT-S, B, L, H and g: no shape in a file tells the number of heads
NUM_HEADS = {384: 6, 768: 12, 1024: 16, 1280: 16, 1408: 16}
PROJECTION = 'backbone.patch_embed.projection.weight'
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
            weights = checkpoint[key]
            if not isinstance(weights, dict) or not all(
                    isinstance(value, Tensor) for value in weights.values()):
                raise ValueError(f'{path} holds no weights by name under {key}: give an official '
                                 'checkpoint')
            return weights
    found = list(checkpoint)[:5] if isinstance(checkpoint, dict) else type(checkpoint).__name__
    raise ValueError(f'{path} has its weights under neither module nor model, but holds {found}: '
                     'give an official checkpoint')


def convert_videomae(
        weights: dict[str, Tensor], num_tokens: int | None = None) -> dict[str, Tensor]:
    """Rename all weights, for strict loading.

    Finetuned ones are for a ``Recognizer3D`` with MMAction2's ``VisionTransformer`` or
    ``GAIEVisionTransformer`` and a ``TimeSformerHead``, or for the backbone alone if the file has
    no head; those of pretraining (encoder and decoder) for a ``MaskedVideoModel``. Official files
    hold no sine-cosine position table: it gets ``num_tokens`` places, by default those of 16
    frames at 224x224 if the file's tubelets have 2 frames. Unexpected or missing keys are a
    ``ValueError`` that lists them all.
    """
    converted: dict[str, Tensor] = {}
    problems: list[str] = []
    official: dict[str, str] = {}
    for key, value in weights.items():
        renamed = re.sub(WRAPPERS, '', key)
        for pattern, name in RENAMES:
            renamed = re.sub(pattern, name, renamed)
        if renamed in converted:
            problems.append(f'twice: {key} and {official[renamed]}')
        converted[renamed], official[renamed] = value, key
    expected = _expected_keys(converted) | {'backbone.pos_embed'}
    problems += [f'left over: {key}' for name, key in official.items() if name not in expected]
    problems += [f'missing: {name}'
                 for name in sorted(expected - set(converted) - {'backbone.pos_embed'})]
    if problems:
        raise ValueError('the keys do not fit:\n  ' + '\n  '.join(problems))
    if 'backbone.pos_embed' not in converted:
        dims, _, tubelet, height, width = converted[PROJECTION].shape
        if num_tokens is None and tubelet != 2:
            raise ValueError(
                f"the file's tubelets have {tubelet} frames instead of 2, and nothing in it tells "
                'how many frames its position table is for: give the number of places by '
                '--num-tokens (UMT with 8 frames at 224x224: 1568)')
        num_tokens = num_tokens or 16 // tubelet * (224 // height) * (224 // width)
        converted['backbone.pos_embed'] = get_sinusoid_encoding(num_tokens, dims)
    return converted


def find_num_heads(converted: dict[str, Tensor], num_heads: int | None = None) -> int:
    """Number of heads of converted weights, by default the official network's of this width."""
    dims = len(converted[PROJECTION])
    if num_heads is None and dims not in NUM_HEADS:
        raise ValueError(f'nothing in the file tells the number of heads, and no official network '
                         f'has {dims} channels: give it by --num-heads')
    num_heads = NUM_HEADS[dims] if num_heads is None else num_heads
    if num_heads < 1 or dims % num_heads:
        raise ValueError(f'--num-heads must divide the {dims} channels, but got {num_heads}')
    return num_heads


def _expected_keys(converted: dict[str, Tensor]) -> set[str]:
    """All names of a model with the parts, the depth and the options seen in the file."""
    pretraining, head = (any(key.startswith(part) for key in converted)
                         for part in ('decoder.', 'cls_head.'))
    layers = [f'{layer}.{kind}' for layer in LAYERS for kind in ('weight', 'bias')]
    layers.append('attn.qkv.weight')
    for pair in (('attn.q_bias', 'attn.v_bias'), ('gamma_1', 'gamma_2')):
        if any(key.endswith(pair) for key in converted):
            layers += pair
    names = {'mask_token', 'encoder_to_decoder.weight'} if pretraining else set()
    for part in ('backbone', 'decoder')[:1 + pretraining]:
        blocks = [int(number) for number in re.findall(
            rf'^{part}\.blocks\.(\d+)\.', '\n'.join(converted), re.MULTILINE)]
        names |= {f'{part}.blocks.{block}.{layer}'
                  for block in range(max(blocks, default=0) + 1) for layer in layers}
    norm = 'backbone.norm' if 'backbone.norm.weight' in converted else 'backbone.fc_norm'
    ends = [*(('decoder.norm', 'decoder.head') if pretraining else ()),
            *(('cls_head.fc_cls', ) if head else ())]
    for layer in (norm, 'backbone.patch_embed.projection', *ends):
        names |= {f'{layer}.weight', f'{layer}.bias'}
    return names

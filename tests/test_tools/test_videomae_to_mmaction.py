"""The converter against an independent rendering of VideoMAE's finetuned network."""
import argparse

import pytest
import torch
import torch.nn.functional as F
from hostile import attack
from mmaction.registry import MODELS
from running import run_tool

from gaie_mmaction.models import GAIEVisionTransformer
from gaie_mmaction.models.utils.videomae_weights import (
    convert_videomae,
    find_num_heads,
    load_videomae,
)

DIMS, DEPTH, HEADS, FRAMES, SIZE = 24, 2, 3, 4, 32
TOKENS = FRAMES // 2 * (SIZE // 16)**2


def official_weights():
    """Random weights under the official names."""
    layers = {'fc_norm.weight': (DIMS, ), 'fc_norm.bias': (DIMS, ), 'head.weight': (5, DIMS),
              'head.bias': (5, ), 'patch_embed.proj.bias': (DIMS, )}
    block = dict.fromkeys(('norm1.weight', 'norm1.bias', 'attn.q_bias', 'attn.v_bias', 'norm2.bias',
                           'norm2.weight', 'attn.proj.bias', 'mlp.fc2.bias'), (DIMS, ))
    block |= {'attn.qkv.weight': (3 * DIMS, DIMS), 'attn.proj.weight': (DIMS, DIMS),
              'mlp.fc1.weight': (4 * DIMS, DIMS), 'mlp.fc1.bias': (4 * DIMS, ),
              'mlp.fc2.weight': (DIMS, 4 * DIMS)}
    layers |= {f'blocks.{i}.{name}': shape for i in range(DEPTH) for name, shape in block.items()}
    weights = {name: torch.randn(shape) * .3 for name, shape in layers.items()}
    return weights | {'patch_embed.proj.weight': torch.randn(DIMS, 3, 2, 16, 16) * .05}


def official_forward(w, clips):
    """The finetuned VideoMAE network, written from its description."""
    x = F.conv3d(
        clips, w['patch_embed.proj.weight'], w['patch_embed.proj.bias'], stride=(2, 16, 16))
    x = x.flatten(2).transpose(1, 2)
    place = torch.arange(TOKENS, dtype=torch.float64)[:, None]
    angle = place / 10000**(2 * (torch.arange(DIMS) // 2) / DIMS)[None]
    table = torch.where(torch.arange(DIMS) % 2 == 0, angle.sin(), angle.cos()).float()
    x = x + table
    for i in range(DEPTH):
        p = {name[len(f'blocks.{i}.'):]: value for name, value in w.items()
             if name.startswith(f'blocks.{i}.')}
        y = F.layer_norm(x, (DIMS, ), p['norm1.weight'], p['norm1.bias'], 1e-6)
        bias = torch.cat([p['attn.q_bias'], torch.zeros(DIMS), p['attn.v_bias']])
        q, k, v = F.linear(y, p['attn.qkv.weight'], bias).chunk(3, dim=-1)
        heads = [(one @ other.transpose(1, 2) * (DIMS // HEADS)**-.5).softmax(-1) @ values
                 for one, other, values in zip(*(x.chunk(HEADS, dim=-1) for x in (q, k, v)))]
        x = x + F.linear(torch.cat(heads, -1), p['attn.proj.weight'], p['attn.proj.bias'])
        y = F.layer_norm(x, (DIMS, ), p['norm2.weight'], p['norm2.bias'], 1e-6)
        y = F.gelu(F.linear(y, p['mlp.fc1.weight'], p['mlp.fc1.bias']))
        x = x + F.linear(y, p['mlp.fc2.weight'], p['mlp.fc2.bias'])
    x = F.layer_norm(x.mean(1), (DIMS, ), w['fc_norm.weight'], w['fc_norm.bias'], 1e-6)
    return F.linear(x, w['head.weight'], w['head.bias'])


@pytest.mark.parametrize('under', ['module', 'model'])
@pytest.mark.parametrize('backbone', ['VisionTransformer', 'GAIEVisionTransformer'])
def test_same_logits_after_strict_loading(tmp_path, under, backbone):
    weights = official_weights()
    path = tmp_path / 'official.pth'
    torch.save({under: weights, 'epoch': 3, 'args': argparse.Namespace(lr=.1)}, path)
    model = MODELS.build(dict(
        type='Recognizer3D',
        backbone=dict(type=backbone, img_size=SIZE, embed_dims=DIMS, depth=DEPTH, num_heads=HEADS,
                      num_frames=FRAMES),
        cls_head=dict(type='TimeSformerHead', num_classes=5, in_channels=DIMS))).eval()
    code, output = run_tool('model_converters/videomae_to_mmaction.py', path, tmp_path / 'ours.pth',
                            '--num-tokens', TOKENS, '--num-heads', HEADS)
    assert code is None and '33 tensors are written' in output
    assert 'num_heads=3, 8 tokens' in output
    model.load_state_dict(torch.load(tmp_path / 'ours.pth')['state_dict'], strict=True)
    clips = torch.randn(2, 3, FRAMES, SIZE, SIZE)
    with torch.no_grad():
        logits = model(clips[:, None], stage='head')
    torch.testing.assert_close(logits, official_forward(weights, clips), rtol=1e-4, atol=1e-5)


def test_pretraining_weights_fit_the_masked_model():
    """Encoder and decoder, each weight under its own name."""
    finetuned = {key: value for key, value in official_weights().items()
                 if not key.startswith(('head.', 'fc_norm.'))}
    weights = {f'encoder.{key}': value for key, value in finetuned.items()}
    weights |= {f'decoder.{key}': value for key, value in official_weights().items()
                if key.startswith('blocks.')}
    for norm in ('encoder.norm', 'decoder.norm'):
        weights |= {f'{norm}.{kind}': torch.randn(DIMS) for kind in ('weight', 'bias')}
    weights |= {'decoder.head.weight': torch.randn(1536, DIMS), 'decoder.head.bias':
                torch.randn(1536), 'mask_token': torch.randn(1, 1, DIMS),
                'encoder_to_decoder.weight': torch.randn(DIMS, DIMS)}
    model = MODELS.build(dict(
        type='MaskedVideoModel', mask_ratio=.5, decoder_depth=DEPTH, decoder_dims=DIMS,
        decoder_heads=HEADS, backbone=dict(
            type='GAIEVisionTransformer', img_size=SIZE, embed_dims=DIMS, depth=DEPTH,
            num_heads=HEADS, num_frames=FRAMES)))
    model.load_state_dict(convert_videomae(weights, TOKENS), strict=True)
    state = model.state_dict()
    for ours, official in (
            ('backbone.fc_norm.weight', 'encoder.norm.weight'),
            ('backbone.blocks.1.mlp.layers.1.weight', 'encoder.blocks.1.mlp.fc2.weight'),
            ('decoder.blocks.0.mlp.layers.0.0.bias', 'decoder.blocks.0.mlp.fc1.bias'),
            ('decoder.blocks.1.attn.q_bias', 'decoder.blocks.1.attn.q_bias')):
        assert torch.equal(state[ours], weights[official])
    # the encoder alone, as trainers save it
    encoder = convert_videomae({key: value for key, value in weights.items()
                                if key.startswith('encoder.')}, TOKENS)
    model.backbone.load_state_dict(
        {key.removeprefix('backbone.'): value for key, value in encoder.items()}, strict=True)
    del weights['decoder.norm.bias']
    with pytest.raises(ValueError, match='missing: decoder.norm.bias'):
        convert_videomae(weights, TOKENS)


@pytest.mark.parametrize('prefix', ['_orig_mod.', 'module.', 'backbone.', '_orig_mod.backbone.'])
def test_prefixes_of_distilled_weights(prefix):
    weights = official_weights()
    found = convert_videomae({prefix + key: value for key, value in weights.items()})
    expected = convert_videomae(weights)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_umt_needs_its_number_of_frames():
    """Tubelets of one frame: 8 frames are as many places as VideoMAE's 16."""
    weights = dict(official_weights(), **{'patch_embed.proj.weight':
                                          torch.randn(DIMS, 3, 1, 16, 16)})
    with pytest.raises(ValueError, match='have 1 frames instead of 2.*\n?.*--num-tokens'):
        convert_videomae(weights)
    converted = convert_videomae(weights, 1568)
    model = GAIEVisionTransformer(embed_dims=DIMS, depth=DEPTH, num_heads=HEADS, num_frames=8,
                                  tubelet_size=1)
    model.load_state_dict({key.removeprefix('backbone.'): value for key, value in converted.items()
                           if key.startswith('backbone.')}, strict=True)


def test_number_of_heads(tmp_path):
    """No shape shows it: it is known by the width, or given, and another one is refused."""
    converted = convert_videomae(official_weights(), TOKENS)
    with pytest.raises(ValueError, match='no official network has 24 channels.*--num-heads'):
        find_num_heads(converted)
    with pytest.raises(ValueError, match='must divide the 24 channels, but got 5'):
        find_num_heads(converted, 5)
    base = {'backbone.patch_embed.projection.weight': torch.empty(768, 3, 2, 16, 16)}
    assert (find_num_heads(converted, 3), find_num_heads(base)) == (3, 12)
    path = tmp_path / 'ours.pth'
    torch.save(dict(meta=dict(num_heads=3), state_dict=converted), path)
    sizes = dict(embed_dims=DIMS, depth=DEPTH, img_size=SIZE, num_frames=FRAMES)
    GAIEVisionTransformer(num_heads=3, pretrained=str(path), **sizes).init_weights()
    with pytest.raises(ValueError, match='has 3 heads, but the backbone 6.*Set num_heads=3'):
        GAIEVisionTransformer(num_heads=6, pretrained=str(path), **sizes).init_weights()


def test_left_over_and_missing_are_listed():
    weights = official_weights()
    weights['surprise.weight'] = torch.zeros(1)
    del weights['blocks.1.mlp.fc2.bias'], weights['head.bias']
    with pytest.raises(ValueError, match=r'left over: surprise.weight\n'
                       r'  missing: backbone.blocks.1.mlp.layers.1.bias\n'
                       r'  missing: cls_head.fc_cls.bias'):
        convert_videomae(weights)


def test_other_files_and_code_are_refused(tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save(dict(state_dict={}), path)
    with pytest.raises(ValueError, match='neither module nor model'):
        load_videomae(str(path))
    for content in ([1, 2], None, dict(epoch=3)):
        torch.save(dict(module=content), path)
        with pytest.raises(ValueError, match='weights.pth holds no weights by name under module'):
            load_videomae(str(path))
    with pytest.raises(ValueError, match='left over: blocks.x.norm1.weight'):
        convert_videomae({**official_weights(), 'blocks.x.norm1.weight': torch.ones(1)})
    torch.save(dict(module=attack(tmp_path / 'attacked')), path)
    with pytest.raises(ValueError, match='nothing of it was run.*mkdir'):
        load_videomae(str(path))
    assert not (tmp_path / 'attacked').exists()


def test_default_position_table_is_of_16_frames_at_224():
    table = convert_videomae(official_weights())['backbone.pos_embed']
    assert table.shape == (1, 8 * 14 * 14, DIMS)

"""ViViT: who may influence whom, and weights of image ViTs."""
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from small_model import make_vit, randomize
from torch import nn

from gaie_mmaction.models import ViViT
from gaie_mmaction.models.backbones.vivit import (
    VARIANTS,
    SpaceTimeAttention,
    attend_frames,
    attend_places,
)
from gaie_mmaction.models.utils.image_weights import (
    central_frame_filter,
    convert_image_vit,
    inflate_filter,
)

SIZE = dict(img_size=32, patch_size=8, embed_dims=24, depth=2, num_heads=4, num_frames=6)
FRAMES, PLACES = 3, 16  # of the tokens


def make_vivit(variant, **changes):
    return randomize(ViViT(**{**SIZE, 'variant': variant, **changes})).eval()


def same(axis):
    """``(T'S, T'S)``: whether two tokens have the same frame (0) or the same place (1)."""
    index = torch.stack(torch.meshgrid(
        torch.arange(FRAMES), torch.arange(PLACES), indexing='ij'))[axis].flatten()
    return index[:, None] == index[None, :]


FRAME, PLACE = same(0), same(1)
EVERYTHING = torch.ones_like(FRAME)


def influence(function):
    """``(T'S, T'S)``: whether an output token depends on an input token, by gradients."""
    x = torch.randn(1, FRAMES, PLACES, 24, requires_grad=True)
    out = function(x).flatten(1, 2)
    weights = torch.randn_like(out[0, 0])
    rows = [torch.autograd.grad(token @ weights, x, retain_graph=True)[0] for token in out[0]]
    return torch.stack(rows).flatten(2, 3).ne(0).any(-1)[:, 0]


@pytest.mark.parametrize('variant, one_block, two_blocks', [
    ('joint', EVERYTHING, EVERYTHING), ('factorised_encoder', FRAME, FRAME),
    ('factorised_self_attention', EVERYTHING, EVERYTHING),
    ('factorised_dot_product', FRAME | PLACE, EVERYTHING)])
def test_reach(variant, one_block, two_blocks):
    first, second = make_vivit(variant).blocks
    assert torch.equal(influence(first), one_block)
    assert torch.equal(influence(lambda x: second(first(x))), two_blocks)


def test_self_attention_is_over_space_then_over_time():
    block = make_vivit('factorised_self_attention').blocks[0]
    assert torch.equal(influence(partial(block.attn, attend=attend_frames)), FRAME)
    assert torch.equal(influence(partial(block.temporal_attn, attend=attend_places)), PLACE)
    between = []
    block.temporal_attn.register_forward_pre_hook(lambda _, args: between.append(args[0]))

    def until_temporal(x):
        block(x)
        return between.pop()

    assert torch.equal(influence(until_temporal), FRAME)
    nn.init.zeros_(block.attn.proj.weight)
    assert torch.equal(influence(block), PLACE)


def test_encoder_sees_frames_alone_before_the_temporal_one():
    model = make_vivit('factorised_encoder')
    seen = []
    model.temporal_blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    clip = torch.randn(1, 3, 6, 32, 32, requires_grad=True)
    model(clip)
    assert seen[0].shape == (1, FRAMES, 1, 24)
    for frame in range(FRAMES):
        gradient, = torch.autograd.grad(seen[0][0, frame].sin().sum(), clip, retain_graph=True)
        expected = torch.tensor([t // 2 == frame for t in range(6)])
        assert torch.equal(gradient[0].ne(0).any(0), expected[:, None, None].expand(6, 32, 32))


@pytest.mark.parametrize('variant', VARIANTS)
@pytest.mark.parametrize('shape', [(6, 32, 32), (10, 24, 40)])
def test_feature_depends_on_every_pixel(variant, shape):
    clip = torch.randn(1, 3, *shape, requires_grad=True)
    feature = make_vivit(variant)(clip)
    feature.sin().sum().backward()
    assert torch.isfinite(feature).all() and clip.grad.ne(0).any(1).all()


@pytest.mark.parametrize('variant, masks', [
    ('joint', [EVERYTHING] * 4), ('factorised_encoder', [FRAME] * 4),
    ('factorised_dot_product', [FRAME, FRAME, PLACE, PLACE])])
def test_attention_is_the_dense_one_with_a_mask(variant, masks):
    attention = SpaceTimeAttention(embed_dims=24, num_heads=4).double()
    for parameter in attention.parameters():
        nn.init.normal_(parameter, std=.5)
    x = torch.randn(2, FRAMES, PLACES, 24, dtype=torch.float64)
    flat = x.flatten(1, 2)
    q, k, v = (flat @ attention.qkv.weight.T).chunk(3, -1)
    heads = []
    for head, mask in enumerate(masks):
        part = slice(6 * head, 6 * head + 6)
        logits = (q + attention.q_bias)[..., part] @ k[..., part].transpose(1, 2) / 6**.5
        weights = logits.masked_fill(~mask, float('-inf')).softmax(-1)
        heads.append(weights @ (v + attention.v_bias)[..., part])
    expected = torch.cat(heads, -1) @ attention.proj.weight.T + attention.proj.bias
    torch.testing.assert_close(attention(x, VARIANTS[variant]).flatten(1, 2), expected)


@pytest.mark.parametrize('shape', [(6, 32, 32), (8, 40, 24)])
def test_joint_is_the_plain_vit(shape):
    ours = make_vivit('joint')
    plain = make_vit(**SIZE, use_learnable_pos_emb=True).eval()
    assert set(ours.state_dict()) == set(plain.state_dict())
    plain.load_state_dict(ours.state_dict())
    clips = torch.randn(2, 3, *shape)
    with torch.no_grad():
        torch.testing.assert_close(ours(clips), plain(clips), rtol=1e-6, atol=1e-6)


# --- weights of an image ViT ------------------------------------------------------------------


@pytest.mark.parametrize('tubelet_size, center', [(1, 0), (2, 1), (3, 1), (4, 2)])
def test_filters(tubelet_size, center):
    """Inflated: as the image's on a still clip; central frame: on that frame of any clip."""
    weight = torch.randn(5, 3, 8, 8).double()
    clip = torch.randn(2, 3, tubelet_size, 16, 24).double()
    frame = clip[:, :, center]
    still = frame.unsqueeze(2).expand_as(clip)
    expected = F.conv2d(frame, weight)
    for x, filters in ((still, inflate_filter(weight, tubelet_size)),
                       (clip, central_frame_filter(weight, tubelet_size))):
        assert filters.shape == (5, 3, tubelet_size, 8, 8)
        torch.testing.assert_close(F.conv3d(x, filters)[:, :, 0], expected)
    assert filters.count_nonzero() == weight.count_nonzero()


# torch's names of the image ViT below -> those of an image library
TIMM = (('positions', 'pos_embed'), ('patch.', 'patch_embed.proj.'), ('layers.', 'blocks.'),
        ('self_attn.in_proj_', 'attn.qkv.'), ('self_attn.out_proj.', 'attn.proj.'),
        ('linear', 'mlp.fc'))
MMPRETRAIN = (('positions', 'pos_embed'), ('patch.', 'patch_embed.projection.'),
              ('self_attn.in_proj_', 'attn.qkv.'), ('self_attn.out_proj.', 'attn.proj.'),
              ('linear1.', 'ffn.layers.0.0.'), ('linear2.', 'ffn.layers.1.'), ('norm.', 'ln1.'),
              ('norm', 'ln'))


class ImageViT(nn.Module):
    """An image ViT made of torch's own encoder layers, without a readout."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 24, 8, 8)
        self.positions = nn.Parameter(torch.empty(1, 1 + PLACES, 24))  # the class token's first
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(24, 4, 96, 0., 'gelu', 1e-6, batch_first=True,
                                       norm_first=True) for _ in range(2))
        self.norm = nn.LayerNorm(24, eps=1e-6)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=.3)

    def forward(self, images):
        """``(B, 3, 32, 32)`` -> ``(B, S, C)``, before the norm."""
        x = self.patch(images).flatten(2).transpose(1, 2) + self.positions[:, 1:]
        for layer in self.layers:
            x = layer(x)
        return x

    def of_frames(self, clips):
        """``(B, 3, 6, 32, 32)`` -> ``(B, T', S, C)`` of the central frame of each tubelet of 2."""
        return torch.stack([self(clips[:, :, frame]) for frame in (1, 3, 5)], 1)

    def state(self, names=TIMM):
        """Its weights with another library's names."""
        found = {'cls_token': torch.zeros(1, 1, 24)}
        for key, value in self.state_dict().items():
            for own, other in names:
                key = key.replace(own, other)
            found[key] = value.clone()
        if names is TIMM:
            return {**found, 'head.weight': torch.zeros(1000, 24)}
        return {**{f'backbone.{key}': value for key, value in found.items()},
                'head.layers.head.weight': torch.zeros(1000, 24)}


@pytest.fixture
def image_vit():
    return ImageViT().eval()


def load_vivit(variant, path, weights, **changes):
    torch.save(weights, path)
    model = make_vivit(variant, pretrained=str(path), **changes)
    model.init_weights()
    return model


@pytest.mark.parametrize('names', [TIMM, MMPRETRAIN])
def test_self_attention_starts_as_the_image_vit(image_vit, names, tmp_path):
    """Each frame goes through it alone; a key bias, which we have none for, changes nothing."""
    assert image_vit.layers[0].self_attn.in_proj_bias[24:48].abs().min() > 0
    weights = image_vit.state(names)
    if names is MMPRETRAIN:
        weights = dict(state_dict=weights, meta=dict(epoch=1))
    clips = torch.randn(2, 3, 6, 32, 32)
    model = load_vivit('factorised_self_attention', tmp_path / 'image.pth', weights)
    with torch.no_grad():
        expected = image_vit.norm(image_vit.of_frames(clips).mean((1, 2)))
        torch.testing.assert_close(model(clips), expected, rtol=1e-4, atol=1e-5)


def test_joint_of_one_inflated_tubelet_is_the_image_vit(image_vit, tmp_path):
    model = load_vivit('joint', tmp_path / 'image.pth', image_vit.state(), num_frames=2,
                       tubelet_init='filter_inflation')
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(
            model(images.unsqueeze(2).repeat(1, 1, 2, 1, 1)),
            image_vit.norm(image_vit(images).mean(1)), rtol=1e-4, atol=1e-5)


def test_spatial_encoder_starts_as_the_image_vit(image_vit, tmp_path):
    model = load_vivit('factorised_encoder', tmp_path / 'image.pth', image_vit.state())
    seen = []
    model.temporal_blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    clips = torch.randn(2, 3, 6, 32, 32)
    with torch.no_grad():
        model(clips)
        expected = image_vit.norm(image_vit.of_frames(clips).mean(2)) + model.temporal_pos_embed
        torch.testing.assert_close(seen[0][:, :, 0], expected, rtol=1e-4, atol=1e-5)


def test_positions_are_repeated_in_time_and_resized_in_space(image_vit):
    convert = partial(convert_image_vit, image_vit.state(), tubelet_size=2,
                      tubelet_init='central_frame')
    places = image_vit.positions.detach()[:, 1:]
    assert torch.equal(convert(grid=(3, 4, 4))['pos_embed'], torch.cat([places] * 3, 1))
    image = places.transpose(1, 2).unflatten(2, (4, 4))
    resized = F.interpolate(image, size=(6, 5), mode='bicubic').flatten(2).transpose(1, 2)
    torch.testing.assert_close(convert(grid=(2, 6, 5))['pos_embed'], torch.cat([resized] * 2, 1))


def test_temporal_attention_starts_at_zero_and_learns():
    model = ViViT(**SIZE, variant='factorised_self_attention')
    model.init_weights()
    for block in model.blocks:
        assert not block.temporal_attn.proj.weight.any() and not block.temporal_attn.proj.bias.any()
    optimizer = torch.optim.SGD(model.parameters(), lr=.1)
    target = torch.randn(2, 24)
    for _ in range(2):
        optimizer.zero_grad()
        (model(torch.randn(2, 3, 6, 32, 32)) - target).square().sum().backward()
        optimizer.step()
    assert [name for name, p in model.named_parameters() if not p.grad.any()] == []


def test_image_weights_are_loaded_strictly(image_vit, tmp_path):
    weights = image_vit.state()
    del weights['blocks.1.mlp.fc1.bias']
    weights['blocks.1.ls1.gamma'] = torch.ones(24)
    weights['norm.weight'] = torch.ones(7)
    with pytest.raises(ValueError) as caught:
        load_vivit('factorised_self_attention', tmp_path / 'image.pth', weights)
    message = str(caught.value)
    for part in ('missing: blocks.1.mlp.layers.0.0.bias', 'left over: blocks.1.ls1.gamma',
                 'fc_norm.weight: (7,) in the file, (24,) here', 'image.pth'):
        assert part in message
    assert 'temporal' not in message and 'head' not in message


@pytest.mark.parametrize('change, message', [
    (dict(pos_embed=None), 'image ViT of timm or MMPretrain'),
    ({'patch_embed.proj.weight': None}, 'found the patch embedding none'),
    ({'patch_embed.proj.weight': torch.zeros(24, 3, 2, 8, 8)}, r'\(24, 3, 2, 8, 8\)'),
    (dict(pos_embed=torch.zeros(1, 16, 24)), 'the 15 positions .* must be a square')])
def test_not_an_image_vit(image_vit, change, message):
    weights = {**image_vit.state(), **change}
    weights = {key: value for key, value in weights.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        convert_image_vit(weights, tubelet_size=2, tubelet_init='central_frame', grid=(3, 4, 4))


@pytest.mark.parametrize('arguments, error, message', [
    (dict(variant='divided'), ValueError, r"one of \['joint', .*'divided'"),
    (dict(tubelet_init='mean'), ValueError, r"'central_frame', 'filter_inflation'.*'mean'"),
    (dict(variant='factorised_dot_product', num_heads=3), ValueError, 'even.*got 3'),
    (dict(num_heads=5), ValueError, 'multiple of num_heads'),
    (dict(img_size=30), ValueError, 'multiple of patch_size'),
    (dict(num_frames=7), ValueError, 'multiple of tubelet_size'),
    (dict(neck=dict(type='GAIENeck')), TypeError, 'neck')])
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        ViViT(**{**SIZE, 'variant': 'joint', **arguments})

"""The backbone against MMAction2's own, the plain-loop method, and its promises."""
from functools import partial

import numpy as np
import pytest
import torch
from mmaction.models.backbones.vit_mae import VisionTransformer
from mmaction.registry import MODELS
from mmengine.registry import init_default_scope
from reference import gaie_loops

from gaie_mmaction.models import GAIENeck, GAIEVisionTransformer, ViViT
from gaie_mmaction.models.utils.positions import resize_positions
from gaie_mmaction.ops import num_kept

SIZE = dict(img_size=32, patch_size=8, embed_dims=24, depth=4, num_heads=2, num_frames=8)
GAIE = dict(type='GAIENeck')


def make_pair(neck=None, merge_layers=(1, 2), **changes):
    """MMAction2's backbone and ours with the same random weights."""
    cfg = dict(SIZE, **changes)
    host = VisionTransformer(**cfg).eval()
    with torch.no_grad():
        for parameter in host.parameters():
            parameter.normal_(std=.3)
    ours = GAIEVisionTransformer(neck=neck, merge_layers=merge_layers, **cfg).eval()
    ours.load_state_dict(host.state_dict())
    return host, ours


@pytest.mark.parametrize('changes', [
    dict(), dict(qkv_bias=False), dict(init_values=.1), dict(use_learnable_pos_emb=True),
    dict(use_mean_pooling=False), dict(return_feat_map=True), dict(qk_scale=.5),
    dict(tubelet_size=4, mlp_ratio=2)
])
def test_without_neck_it_is_the_hosts(changes):
    host, ours = make_pair(**changes)
    clips = torch.randn(2, 3, 8, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(clips), host(clips), rtol=1e-4, atol=1e-5)


def test_other_sizes_in_space_as_the_hosts():
    host, ours = make_pair()
    clips = torch.randn(1, 3, 8, 48, 40)
    with torch.no_grad():
        torch.testing.assert_close(ours(clips), host(clips), rtol=1e-4, atol=1e-5)


def test_positions_in_time_are_interpolated():
    _, ours = make_pair()
    table = ours.pos_embed.reshape(4, 16, 24)
    longer = resize_positions(ours.pos_embed, ours.grid_size, (8, 4, 4)).reshape(8, 16, 24)
    # linear without aligned corners: places .25, .75, ... between the old ones
    torch.testing.assert_close(longer[0], table[0])
    torch.testing.assert_close(longer[1], .75 * table[0] + .25 * table[1])
    torch.testing.assert_close(longer[2], .25 * table[0] + .75 * table[1])
    assert ours(torch.randn(1, 3, 16, 32, 32)).shape == (1, 24)


def test_keys_are_the_hosts_with_and_without_neck():
    host, ours = make_pair(neck=GAIE)
    assert list(ours.state_dict()) == list(host.state_dict())


def test_ratio_one_is_no_neck():
    clips = torch.randn(2, 3, 8, 32, 32)
    host, ours = make_pair(neck=dict(GAIE, token_keep_ratio=1.))
    with torch.no_grad():
        torch.testing.assert_close(ours(clips), host(clips), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('metric', ['token', 'key'])
def test_equals_the_method_in_plain_loops(metric):
    """Every block by the host's modules, every merge by loops, in float64."""
    host, ours = make_pair(neck=dict(GAIE, metric=metric), merge_layers=(1, 3))
    host, ours = host.double(), ours.double()
    clips = torch.randn(2, 3, 8, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        x = host.patch_embed(clips)[0] + host.pos_embed
        for index, block in enumerate(host.blocks):
            normed = block.norm1(x)
            if index in (1, 3):
                batch, num_tokens, dims = x.shape
                bias = torch.cat([block.attn.q_bias, torch.zeros(dims), block.attn.v_bias])
                qkv = torch.nn.functional.linear(normed, block.attn.qkv.weight, bias)
                q, k, _ = qkv.view(batch, num_tokens, 3, 2, -1).permute(2, 0, 3, 1, 4)
                attn = (q @ k.transpose(-2, -1) * (dims // 2)**-.5).softmax(-1)
                importance = attn.mean((1, 2)).float().numpy()
                x = x + block.attn(normed)
                keys = k.mean(1).numpy() if metric == 'key' else None
                x = torch.from_numpy(gaie_loops.gaie(x.numpy(), importance, '0.7', keys))
            else:
                x = x + block.attn(normed)
            x = x + block.mlp(block.norm2(x))
        expected = host.fc_norm(x.mean(1))
        torch.testing.assert_close(ours(clips), expected, rtol=1e-9, atol=1e-11)


def test_proportional_attention():
    """Two equal halves of the tokens, half of them kept: exactly the plain network."""
    from gaie_mmaction.models import TokenReducer, TokenState

    @MODELS.register_module(force=True)
    class FirstHalfNeck(TokenReducer):

        def __init__(self):
            super().__init__(.5, prop_attn=True)

        def forward(self, state):
            half = state.x.shape[1] // 2
            return TokenState(x=state.x[:, :half], size=2 * state.size[:, :half],
                              source=state.source % half, position=state.position[:, :half])

    _, plain = make_pair()
    _, halved = make_pair(neck=dict(type='FirstHalfNeck'), merge_layers=(0, ))
    halved.load_state_dict(plain.state_dict())
    clips = torch.randn(2, 3, 4, 32, 32).repeat(1, 1, 2, 1, 1)
    for model in (plain, halved):
        model.pos_embed.zero_()
    with torch.no_grad():
        torch.testing.assert_close(halved(clips), plain(clips), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('batch', [1, 2, 3])
@pytest.mark.parametrize('prop_attn', [False, True])
def test_every_parameter_gets_a_gradient(batch, prop_attn):
    model = GAIEVisionTransformer(
        neck=dict(GAIE, prop_attn=prop_attn), merge_layers=(0, 2), init_values=.1, **SIZE)
    torch.nn.init.normal_(model.fc_norm.weight)
    model(torch.randn(batch, 3, 8, 32, 32)).square().sum().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_checkpointing_changes_nothing():
    clips = torch.randn(2, 3, 8, 32, 32)
    gradients = []
    for with_cp in (False, True):
        torch.manual_seed(3)
        model = GAIEVisionTransformer(
            neck=GAIE, merge_layers=(1, 2), with_cp=with_cp, drop_path_rate=.3, **SIZE)
        torch.manual_seed(4)
        model(clips).sin().sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    for plain, recomputed in zip(*gradients):
        torch.testing.assert_close(recomputed, plain)


def test_checkpointing_saves_memory():
    def saved_bytes(with_cp):
        model = GAIEVisionTransformer(neck=GAIE, merge_layers=(1, ), with_cp=with_cp, **SIZE)
        total = 0

        def pack(tensor):
            nonlocal total
            total += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model(torch.randn(1, 3, 8, 32, 32))
        return total

    assert saved_bytes(True) < .5 * saved_bytes(False)


def test_autocast():
    model = GAIEVisionTransformer(neck=GAIE, merge_layers=(1, 2), **SIZE)
    clips = torch.randn(2, 3, 8, 32, 32)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        features = model(clips)
    features.float().sum().backward()
    assert torch.isfinite(features).all()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_attention_dropout_works_with_a_neck():
    model = GAIEVisionTransformer(neck=GAIE, merge_layers=(1, ), attn_drop_rate=.5, **SIZE)
    clips = torch.randn(1, 3, 8, 32, 32)
    first, second = model(clips), model(clips)
    assert not torch.allclose(first, second)
    second.sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    model.eval()
    assert torch.equal(model(clips), model(clips))


def test_feature_map_puts_tokens_back():
    _, ours = make_pair(neck=GAIE, return_feat_map=True)
    clips = torch.randn(2, 3, 8, 32, 32)
    with torch.no_grad():
        features, state = ours(clips), ours.forward_tokens(clips)
    assert features.shape == (2, 24, 4, 4, 4)
    for b in range(2):
        for n in range(64):
            t, rest = divmod(n, 16)
            assert torch.equal(features[b, :, t, rest // 4, rest % 4],
                               state.x[b, state.source[b, n]])


def test_provenance():
    _, ours = make_pair(neck=GAIE)
    history = []
    state = ours.forward_tokens(torch.randn(2, 3, 8, 32, 32), history)
    kept = [64, num_kept(64, .7), num_kept(num_kept(64, .7), .7)]
    assert [s.x.shape[1] for s in history] == [kept[0], kept[1], kept[1], kept[2]]
    assert state.source.shape == (2, 64)
    assert torch.equal(state.size.sum(1), torch.full((2, ), 64.))
    for b in range(2):
        np.testing.assert_array_equal(state.source[b].bincount(), state.size[b])


@pytest.mark.parametrize('shape', [(1, 3, 7, 32, 32), (1, 3, 8, 30, 32), (1, 3, 8, 32, 33)])
def test_input_that_does_not_divide(shape):
    model = GAIEVisionTransformer(**SIZE)
    with pytest.raises(ValueError, match='must be a multiple of'):
        model(torch.zeros(shape))


@pytest.mark.parametrize('arguments, error, message', [
    (dict(neck=dict(GAIE, token_keep_ratio=0)), ValueError, r'\(0, 1\], but got 0'),
    (dict(neck=dict(GAIE, token_keep_ratio=1.2)), ValueError, r'\(0, 1\], but got 1.2'),
    (dict(neck=dict(GAIE, token_keep_ratio='half')), TypeError, "got 'half'"),
    (dict(neck=dict(GAIE, metric='value')), ValueError, "got 'value'"),
    (dict(neck=dict(GAIE, keep=.7)), TypeError, 'keep'),
    (dict(neck=GAIE, merge_layers=(1, 4)), ValueError, r'\[0, 4\).*got 4'),
    (dict(neck=GAIE, merge_layers=(-1, )), ValueError, r'\[0, 4\).*got -1'),
    (dict(neck=GAIE, merge_layers=(1, 1)), ValueError, r'repeat.*\(1, 1\)'),
    (dict(neck=GAIE, merge_layers=(1.5, )), TypeError, '1.5'),
    (dict(neck=GAIE, merge_layers=3), TypeError, r'such as \(3, 6, 9\), but got 3'),
    (dict(merge_layer=(1, )), TypeError, 'merge_layer'),
    (dict(neck=dict(type='LN', normalized_shape=3)), TypeError, 'token reducer'),
    (dict(img_size=30), ValueError, 'multiple of patch_size'),
    (dict(num_heads=5), ValueError, 'multiple of num_heads'),
])
def test_wrong_values_at_building(arguments, error, message):
    with pytest.raises(error, match=message):
        GAIEVisionTransformer(**dict(SIZE, **arguments))


def test_neck_in_the_wrong_place():
    with pytest.raises(TypeError, match='model.backbone.neck'):
        GAIENeck()(torch.zeros(1, 4, 3))


def test_neck_of_the_recognizer():
    """Which calls its neck otherwise than a block does."""
    init_default_scope('mmaction')
    model = MODELS.build(dict(
        type='Recognizer3D', backbone=dict(type='GAIEVisionTransformer', **SIZE), neck=GAIE,
        data_preprocessor=dict(type='ActionDataPreprocessor'),
        cls_head=dict(type='TimeSformerHead', num_classes=2, in_channels=24)))
    with pytest.raises(TypeError, match='put it in model.backbone.neck instead of model.neck'):
        model.extract_feat(torch.zeros(1, 1, 3, 8, 32, 32), stage='neck')


@pytest.mark.parametrize('content', [
    {'model': {'blocks.0.norm1.bias': torch.zeros(3)}}, {'blocks.0.norm1.bias': torch.zeros(3)}])
@pytest.mark.parametrize('backbone', [
    GAIEVisionTransformer, partial(ViViT, variant='joint', pretrained2d=False)],
    ids=['GAIEVisionTransformer', 'ViViT'])
def test_pretrained_without_a_backbone(tmp_path, backbone, content):
    torch.save(content, tmp_path / 'videomae.pth')
    model = backbone(pretrained=str(tmp_path / 'videomae.pth'), **SIZE)
    with pytest.raises(ValueError, match='videomae.pth is no checkpoint of an MMAction2 rec.*'
                                         f"are '{next(iter(content))}'.*videomae_to_mmaction"):
        model.init_weights()


def test_pretrained_is_loaded_strictly(tmp_path):
    source = GAIEVisionTransformer(**SIZE)
    state = {f'backbone.{key}': value for key, value in source.state_dict().items()}
    state['cls_head.fc_cls.weight'] = torch.zeros(400, 24)
    torch.save(dict(state_dict=state), tmp_path / 'good.pth')
    model = GAIEVisionTransformer(neck=GAIE, merge_layers=(1, ), pretrained=str(
        tmp_path / 'good.pth'), **SIZE)
    model.init_weights()
    for key, value in source.state_dict().items():
        assert torch.equal(model.state_dict()[key], value)

    del state['backbone.fc_norm.bias']
    state['backbone.extra'] = torch.zeros(1)
    state['backbone.patch_embed.projection.bias'] = torch.zeros(7)
    torch.save(dict(state_dict=state), tmp_path / 'bad.pth')
    model = GAIEVisionTransformer(pretrained=str(tmp_path / 'bad.pth'), **SIZE)
    with pytest.raises(ValueError) as caught:
        model.init_weights()
    for part in ('missing: fc_norm.bias', 'left over: extra', '(7,) in the file', 'bad.pth'):
        assert part in str(caught.value)


@pytest.mark.parametrize('settings', [
    dict(type='GAIENeck'),
    pytest.param(dict(type='GAIENeck', prop_attn=True, metric='key'), marks=pytest.mark.slow),
    pytest.param(dict(type='ToMeNeck', token_keep_ratio=.7), marks=pytest.mark.slow),
    pytest.param(dict(type='EViTNeck'), marks=pytest.mark.slow),
    pytest.param(dict(type='VidTLDRNeck', token_keep_ratio=.7), marks=pytest.mark.slow),
], ids=lambda settings: settings['type'])
@pytest.mark.parametrize('amp', [False, pytest.param(True, marks=pytest.mark.slow)])
def test_compiles_as_one_graph(settings, amp):
    """No break, in testing and in training, gradients included."""
    model = make_pair(neck=settings)[1]
    x = torch.randn(2, 3, 8, 32, 32)
    for training in (False, True):
        model.train(training)
        torch._dynamo.reset()
        compiled = torch.compile(model, fullgraph=True, backend='aot_eager')
        results = []
        for network in (model, compiled):
            model.zero_grad()
            with torch.set_grad_enabled(training), torch.autocast('cpu', enabled=amp):
                out = network(x)
            if training:
                out.float().square().sum().backward()
            results.append([out, *(p.grad for p in model.parameters() if training)])
        for value, expected in zip(results[1], results[0]):
            torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5 if not amp else 1e-2)

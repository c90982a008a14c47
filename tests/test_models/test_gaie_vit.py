"""GAIE-ViT against MMAction2's own ViT and the method in plain loops."""
import copy

import pytest
import torch
from mmaction.models.backbones.vit_mae import VisionTransformer
from mmaction.registry import MODELS
from reference import gaie_loops
from small_model import SIZE, make_clips, make_vit, queries_and_keys, randomize

from gaie_mmaction.models import TokenReducer, TokenState
from gaie_mmaction.models.utils.positions import resize_positions

GAIE = dict(type='GAIENeck')


def make_pair(neck=None, merge_layers=(1, 2), **changes):
    """Upstream's backbone and ours with the same random weights."""
    upstream = randomize(VisionTransformer(**dict(SIZE, **changes))).eval()
    ours = make_vit(neck, merge_layers, **changes).eval()
    ours.load_state_dict(upstream.state_dict())
    return upstream, ours


@pytest.mark.parametrize('changes', [
    dict(), dict(qkv_bias=False), dict(init_values=.1), dict(use_learnable_pos_emb=True),
    dict(use_mean_pooling=False), dict(return_feat_map=True), dict(qk_scale=.5),
    dict(tubelet_size=4, mlp_ratio=2)])
@pytest.mark.parametrize('shape', [(32, 32), (48, 40)])
def test_without_neck_equals_upstream(changes, shape):
    upstream, ours = make_pair(**changes)
    clips = torch.randn(2, 3, 8, *shape)
    with torch.no_grad():
        torch.testing.assert_close(ours(clips), upstream(clips), rtol=1e-4, atol=1e-5)


def test_positions_in_time_are_interpolated():
    _, ours = make_pair()
    table = ours.pos_embed.reshape(4, 16, 24)
    longer = resize_positions(ours.pos_embed, ours.grid_size, (8, 4, 4)).reshape(8, 16, 24)
    # linear without aligned corners: places .25, .75, ... between the old ones
    torch.testing.assert_close(longer[0], table[0])
    torch.testing.assert_close(longer[1], .75 * table[0] + .25 * table[1])
    torch.testing.assert_close(longer[2], .25 * table[0] + .75 * table[1])
    assert ours(torch.randn(1, 3, 16, 32, 32)).shape == (1, 24)


@pytest.mark.parametrize('metric', ['token', 'key'])
def test_equals_the_method_in_plain_loops(metric):
    """Every block by upstream's modules, every merge by loops, in float64."""
    upstream, ours = (model.double() for model in make_pair(dict(GAIE, metric=metric), (1, 3)))
    clips = make_clips().double()
    with torch.no_grad():
        x = upstream.patch_embed(clips)[0] + upstream.pos_embed
        for index, block in enumerate(upstream.blocks):
            normed = block.norm1(x)
            x = x + block.attn(normed)
            if index in (1, 3):
                q, k = queries_and_keys(block.attn, normed)
                attn = (q @ k.transpose(-2, -1) * 12**-.5).softmax(-1)
                importance = attn.mean((1, 2)).float().numpy()
                keys = k.mean(1).numpy() if metric == 'key' else None
                x = torch.from_numpy(gaie_loops.gaie(x.numpy(), importance, '0.7', keys))
            x = x + block.mlp(block.norm2(x))
        expected = upstream.fc_norm(x.mean(1))
        torch.testing.assert_close(ours(clips), expected, rtol=1e-9, atol=1e-11)


def test_proportional_attention():
    """Two equal halves of the tokens, half of them kept: exactly the plain network."""

    @MODELS.register_module(force=True)
    class FirstHalfNeck(TokenReducer):

        def __init__(self):
            super().__init__(.5, prop_attn=True)

        def forward(self, state):
            half = state.x.shape[1] // 2
            return TokenState(x=state.x[:, :half], size=2 * state.size[:, :half],
                              source=state.source % half, position=state.position[:, :half])

    _, plain = make_pair()
    _, halved = make_pair(dict(type='FirstHalfNeck'), (0, ))
    halved.load_state_dict(plain.state_dict())
    clips = torch.randn(2, 3, 4, 32, 32).repeat(1, 1, 2, 1, 1)
    for model in (plain, halved):
        model.pos_embed.zero_()
    with torch.no_grad():
        torch.testing.assert_close(halved(clips), plain(clips), rtol=1e-4, atol=1e-5)


def test_blocks_in_any_order():
    """The first of several numbers is for the first block, however merge_layers is written."""
    history = []
    make_vit(dict(type='ToMeNeck', r=[20, 2]), (3, 1)).forward_tokens(make_clips(1), history)
    assert [state.num_tokens for state in history] == [64, 44, 44, 42]


def test_checkpointing_saves_memory():
    def saved_values(with_cp):
        model, sizes = make_vit(GAIE, (1, ), with_cp=with_cp), []

        def pack(tensor):
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model(make_clips(1))
        return sum(sizes)

    assert saved_values(True) < .5 * saved_values(False)


@pytest.mark.parametrize('arguments, error, message', [
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
    (dict(num_heads=5), ValueError, 'multiple of num_heads')])
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        make_vit(**arguments)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('queries', [None, 8])
def test_never_waits_for_the_gpu(queries, dtype):
    """A forward pass reads nothing back: the CPU runs ahead."""
    model, x = make_pair(dict(GAIE, importance_queries=queries))[1].cuda(), make_clips().cuda()
    with torch.no_grad(), torch.autocast('cuda', dtype, enabled=dtype != torch.float32):
        model(x)  # compiles the kernels
        torch.cuda.set_sync_debug_mode('error')
        try:
            model(x)
        finally:
            torch.cuda.set_sync_debug_mode('default')


@pytest.mark.parametrize('settings', [
    GAIE,
    pytest.param(dict(GAIE, prop_attn=True, metric='key'), marks=pytest.mark.slow),
    dict(GAIE, prop_attn=True, size_weighted=True, background_weight=.5, selection='peaks'),
    pytest.param(dict(type='ToMeNeck', token_keep_ratio=.7), marks=pytest.mark.slow),
    pytest.param(dict(type='EViTNeck'), marks=pytest.mark.slow),
    pytest.param(dict(type='VidTLDRNeck', token_keep_ratio=.7), marks=pytest.mark.slow),
], ids=lambda settings: settings['type'])
@pytest.mark.parametrize('amp', [False, pytest.param(True, marks=pytest.mark.slow)])
def test_compiles_as_one_graph(settings, amp):
    """No break, in testing and in training, gradients included."""
    model, x = make_pair(settings)[1], make_clips()
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


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float64])
@pytest.mark.parametrize('neck', [
    dict(GAIE, prop_attn=True, size_weighted=True, background_weight=.5, selection='peaks'),
    dict(type='ToMeNeck', token_keep_ratio=.7), dict(type='VidTLDRNeck', token_keep_ratio=.7),
    dict(type='RepresentationShiftNeck', token_keep_ratio=.7)])
def test_whole_network_in_another_precision(neck, dtype):
    """Sizes and weights of tokens are of float32, and must not carry it into the features."""
    model, x = make_pair(neck)[1].eval(), make_clips()
    with torch.no_grad():
        expected, found = model(x), copy.deepcopy(model).to(dtype)(x.to(dtype))
    assert found.dtype == dtype
    if dtype == torch.float64:
        torch.testing.assert_close(found.float(), expected, rtol=1e-3, atol=1e-4)

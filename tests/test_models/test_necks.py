"""What every token reducer promises, for all that are registered."""
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mmaction.models.backbones.vit_mae import VisionTransformer
from mmaction.registry import MODELS
from mmengine.config import Config

from gaie_mmaction.benchmark import build_recognizer, measure_complexity
from gaie_mmaction.models import GAIEVisionTransformer, TokenReducer, TokenState
from gaie_mmaction.visualization import TokenMap, draw_token_map, record_tokens

SIZE = dict(img_size=32, patch_size=8, embed_dims=24, depth=4, num_heads=2, num_frames=8)
REDUCERS = sorted(
    name for name, cls in MODELS.module_dict.items()
    if isinstance(cls, type) and issubclass(cls, TokenReducer)
    and cls.__module__.startswith('gaie_mmaction'))
# what a neck adds to the network's own weights
LEARNED = {
    'DiffRateNeck': {'neck.prune_logits', 'neck.merge_logits', 'neck.fixed_counts'}
}
# multiply-adds of ViT-B with 70 % of the tokens kept in blocks 3, 6 and 9, over GAIE's
COST_OVER_GAIE = {
    # no matching
    'KeepFirstNeck': .9940, 'PruneNeck': .9940, 'RandomDropNeck': .9940, 'UniformDropNeck': .9940,
    'DiffRateNeck': .9970,  # half of what goes is pruned and needs no matching
    'EViTNeck': .9951,  # one, two and three tokens more, no matching
    'VidTLDRNeck': 1.0012,  # matches half of the tokens with the other half
    'ToMeNeck': .9946,  # matches keys of 64 channels, not features of 768
}


def make_model(name, merge_layers=(1, 2), token_keep_ratio=.7, neck=None, **changes):
    neck = dict(type=name, token_keep_ratio=token_keep_ratio, **(neck or {}))
    return GAIEVisionTransformer(neck=neck, merge_layers=merge_layers, **dict(SIZE, **changes))


def randomize(model):
    """Weights of a size at which the attention is far from uniform."""
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if not key.startswith('neck.'):
                parameter.normal_(std=.3)
    return model


def make_clips(batch=2):
    return torch.randn(batch, 3, 8, 32, 32)


def test_all_are_there():
    assert REDUCERS == [
        'DiffRateNeck', 'EViTNeck', 'GAIENeck', 'KeepFirstNeck', 'PruneNeck', 'RandomDropNeck',
        'ToMeNeck', 'UniformDropNeck', 'VidTLDRNeck'
    ]


@pytest.mark.parametrize('name', REDUCERS)
def test_forward(name):
    model = randomize(make_model(name)).eval()
    clips, history = make_clips(), []
    with torch.no_grad():
        features = model(clips)
        assert torch.equal(model(clips), features)  # nothing random in testing
        model.forward_tokens(clips, history)
    assert features.shape == (2, 24) and torch.isfinite(features).all()
    left = 64
    for step, (before, after) in enumerate(zip(history[::2], history[1::2])):
        assert before.x.shape[1] == left
        left = model.neck.num_left(left, step)
        assert after.x.shape[1] == left


@pytest.mark.parametrize('name', REDUCERS)
def test_bookkeeping(name):
    """Sizes, provenance and places fit together after two reductions."""
    model, history = randomize(make_model(name)).eval(), []
    with torch.no_grad():
        model.forward_tokens(make_clips(3), history)
    for after in history[1::2]:
        batch, num_tokens, _ = after.x.shape
        assert after.size.shape == after.position.shape == (batch, num_tokens)
        assert after.source.dtype == after.position.dtype == torch.int64
        assert after.importance is None and after.keys is None
        assert after.source.shape == (batch, 64) and after.source.max() == num_tokens - 1
        assert after.source.min() >= (-1 if model.neck.drops_tokens else 0)
        for b in range(batch):
            held = after.source[b][after.source[b] >= 0]
            counts = held.bincount(minlength=num_tokens).float()
            assert counts.min() >= 1
            if name != 'VidTLDRNeck':  # there a token weighs less than what it stands for
                torch.testing.assert_close(after.size[b], counts)
            own = after.position[b] >= 0
            assert torch.equal(after.source[b, after.position[b][own]], own.nonzero()[:, 0])
        if not model.neck.drops_tokens:
            torch.testing.assert_close(after.size.sum(1), torch.full((batch, ), 64.))
    assert [after.step for after in history] == [0, 1, 1, 2]


@pytest.mark.parametrize('name', REDUCERS)
def test_feature_map(name):
    """Every place shows the token that holds it; dropped places are zero."""
    model = randomize(make_model(name, return_feat_map=True)).eval()
    clips = make_clips()
    with torch.no_grad():
        dense = model(clips).flatten(2)  # (B, C, N0)
        state = model.forward_tokens(clips)
    for b in range(2):
        for n in range(64):
            owner = state.source[b, n]
            expected = torch.zeros(24) if owner < 0 else state.x[b, owner]
            assert torch.equal(dense[b, :, n], expected)


@pytest.mark.parametrize('name', REDUCERS)
def test_all_kept_is_the_plain_network(name):
    clips = make_clips()
    plain = randomize(GAIEVisionTransformer(**SIZE)).eval()
    model = make_model(name, token_keep_ratio=1.)
    model.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        expected = plain(clips)
        for mode in (False, True):
            torch.testing.assert_close(model.train(mode)(clips), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', REDUCERS)
def test_every_parameter_gets_a_gradient(name):
    model = make_model(name, init_values=.1)
    torch.nn.init.normal_(model.fc_norm.weight)
    model(make_clips()).square().sum().backward()
    without = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize('name', REDUCERS)
def test_keys_are_the_hosts(name):
    host = VisionTransformer(**SIZE)
    own = list(make_model(name).state_dict())
    assert [key for key in own if not key.startswith('neck.')] == list(host.state_dict())
    assert {key for key in own if key.startswith('neck.')} == LEARNED.get(name, set())


@pytest.mark.parametrize('name', REDUCERS)
def test_loads_a_plain_networks_weights(name, tmp_path):
    host = VisionTransformer(**SIZE)
    weights = {f'backbone.{key}': value for key, value in host.state_dict().items()}
    torch.save(dict(state_dict=weights), tmp_path / 'plain.pth')
    model = make_model(name, pretrained=str(tmp_path / 'plain.pth'))
    model.init_weights()
    for key, value in host.state_dict().items():
        assert torch.equal(model.state_dict()[key], value)


@pytest.mark.parametrize('name', REDUCERS)
def test_autocast(name):
    model = randomize(make_model(name))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        features = model(make_clips())
    features.float().square().sum().backward()
    assert torch.isfinite(features).all()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize('name', REDUCERS)
def test_checkpointing_changes_no_gradient(name):
    clips, gradients = make_clips(), []
    for with_cp in (False, True):
        torch.manual_seed(3)
        model = make_model(name, with_cp=with_cp)
        torch.manual_seed(4)
        model(clips).sin().sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    for plain, recomputed in zip(*gradients):
        torch.testing.assert_close(recomputed, plain)


@pytest.mark.parametrize('name', REDUCERS)
def test_a_clip_does_not_depend_on_the_others(name):
    model, clips = randomize(make_model(name)).eval(), make_clips(3)
    with torch.no_grad():
        together = model(clips)
        alone = torch.cat([model(clip[None]) for clip in clips.flip(0)]).flip(0)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope='module')
def vit_base():
    """The config's network without a neck, on no device, and a function that counts it."""
    cfg = Config.fromfile(Path(__file__).parents[2] / 'configs/vivit_vitb_imigue.py')
    model = build_recognizer(cfg, 'meta')

    def macs(neck):
        neck = MODELS.build(neck).eval()
        neck.setup(1568, 3)
        model.backbone.neck, model.backbone.merge_layers = neck, (3, 6, 9)
        return measure_complexity(model, (3, 16, 224, 224)).true_macs

    return macs


@pytest.mark.parametrize('name', REDUCERS)
def test_cost(vit_base, name):
    """Less than the plain ViT-B, and near GAIE's, on the counter of true multiply-adds."""
    gaie, plain = (vit_base(dict(type='GAIENeck', token_keep_ratio=ratio)) for ratio in (.7, 1.))
    cost = vit_base(dict(type=name, token_keep_ratio=.7))
    assert cost < .64 * plain
    assert cost / gaie == pytest.approx(COST_OVER_GAIE.get(name, 1.), abs=1e-4)


@pytest.mark.parametrize('name', REDUCERS)
def test_picture(name):
    model, history = randomize(make_model(name)).eval(), []
    clips = make_clips(2)
    with torch.no_grad(), record_tokens(model) as recorded:
        model.forward_tokens(clips, history)
    model(clips)
    assert len(recorded) == len(history)  # nothing more once the block has ended
    for one, other in zip(recorded, history):
        assert torch.equal(one.x, other.x) and torch.equal(one.source, other.source)
    tokens = TokenMap.from_history(history, (4, 4, 4), clip=1)
    for kept, owner, after in zip(tokens.kept, tokens.owner, history[1::2]):
        assert kept.sum() == (after.position[1] >= 0).sum()
        assert (owner[kept] == np.arange(64).reshape(4, 4, 4)[kept]).all()
        # as many places as the token stands for, and none for dropped ones
        assert (owner < 0).sum() == (after.source[1] < 0).sum()
        for token, place in enumerate(after.position[1].tolist()):
            held = (after.source[1] == token).sum()
            assert (owner == (place if place >= 0 else 64 + token)).sum() == held
    frames = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    figure = draw_token_map(frames, tokens, layers=range(len(tokens.kept)))
    images = [axis.images[0].get_array() for axis in figure.axes if axis.images]
    first = images[4 * (1 + (tokens.importance[0] is not None))]  # kept of merge 1, tubelet 1
    kept = tokens.kept[0][0].repeat(8, 0).repeat(8, 1)
    assert (first[kept] == frames[0][kept]).all() and (first[~kept] <= frames[0][~kept] / 2).all()


@pytest.mark.parametrize('name', REDUCERS)
@pytest.mark.parametrize('ratio, error, message', [
    (0, ValueError, r'\(0, 1\], but got 0'), (1.01, ValueError, r'\(0, 1\], but got 1.01'),
    ('half', TypeError, "got 'half'"), (True, TypeError, 'got True')
])
def test_wrong_ratio_at_building(name, ratio, error, message):
    with pytest.raises(error, match=message):
        make_model(name, token_keep_ratio=ratio)


@pytest.mark.parametrize('name', REDUCERS)
def test_in_the_wrong_place(name):
    neck = MODELS.build(dict(type=name, token_keep_ratio=.7))
    with pytest.raises(TypeError, match=f'{name} reduces.*model.backbone.neck'):
        neck(torch.zeros(1, 4, 3))


@pytest.mark.parametrize('name', REDUCERS)
def test_needs_mean_pooling_if_it_drops(name):
    if MODELS.get(name).drops_tokens:
        with pytest.raises(ValueError, match=f'use_mean_pooling must be True with a {name}'):
            make_model(name, use_mean_pooling=False)
    else:
        assert make_model(name, use_mean_pooling=False)(make_clips()).shape == (2, 24)


@pytest.mark.parametrize('name', REDUCERS)
def test_attention_dropout(name):
    """Dropout is for the output alone; masked attention has none and says so."""
    model, clips = make_model(name, attn_drop_rate=.5), make_clips()
    if name == 'DiffRateNeck':
        with pytest.raises(ValueError, match=f'attn_drop_rate must be 0 with a {name}.*got 0.5'):
            model(clips)
        return
    assert not torch.allclose(model(clips), model(clips))
    model(clips).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize('name', REDUCERS)
def test_keeps_the_input_state(name):
    """A reducer gives a new state and leaves the one that it got alone."""
    model = randomize(make_model(name)).eval()
    tokens = torch.randn(2, 64, 24)
    state = replace(TokenState.start(tokens.clone()), importance=torch.rand(2, 64),
                    keys=torch.randn(2, 64, 12))
    copies = {key: value.clone() for key, value in vars(state).items() if torch.is_tensor(value)}
    with torch.no_grad():
        model.neck(state)
    for key, value in copies.items():
        assert torch.equal(getattr(state, key), value)

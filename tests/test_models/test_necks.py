"""What every token reducer promises: equal to plain loops, with sizes and provenance right."""
import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from reference import reducer_loops as loops
from reference.reducer_loops import assert_equals_loops, clips_of
from small_model import SIZE, make_clips, make_vit, randomize, small_recognizer
from test_registry import REDUCERS

from gaie_mmaction.apis import build_recognizer
from gaie_mmaction.benchmark import measure_complexity
from gaie_mmaction.models import TokenState
from gaie_mmaction.visualization import TokenMap, draw_token_map, record_tokens

every_reducer = pytest.mark.parametrize('name', REDUCERS)
# multiply-adds of ViT-B with 70 % of the tokens kept in blocks 3, 6 and 9, over GAIE's
COST_OVER_GAIE = {
    # no matching
    'KeepFirstNeck': .9940, 'PruneNeck': .9940, 'RandomDropNeck': .9940, 'UniformDropNeck': .9940,
    'RepresentationShiftNeck': .9940,
    'STANeck': .9987,  # matches keys within frames, rounds up in every group
    'DiffRateNeck': .9970,  # half of what goes is pruned and needs no matching
    'EViTNeck': .9951,  # one, two and three tokens more, no matching
    'VidTLDRNeck': 1.0012,  # matches half of the tokens with the other half
    'ToMeNeck': .9946,  # matches keys of 64 channels, not features of 768
}
# one step of each reducer on a clip: x features, s sizes, v the named field, k tokens left
STEPS = {
    'GAIENeck': ('importance', lambda x, s, v, k: loops.diffrate(x, s, v, len(x), k)),
    'PruneNeck': ('importance', lambda x, s, v, k: loops.drop(x, s, loops.select(v, k)[0])),
    'KeepFirstNeck': ('position', lambda x, s, v, k: loops.drop(x, s, range(k))),
    'UniformDropNeck': ('position', lambda x, s, v, k: loops.drop(x, s, loops.evenly(v, k))),
    'RepresentationShiftNeck': (
        'importance', lambda x, s, v, k: loops.drop(x, s, loops.select(v, k)[0])),
    'EViTNeck': ('importance', lambda x, s, v, k: loops.evit(x, s, v, k - 1)),
    'ToMeNeck': ('keys', lambda x, s, v, k: loops.tome(x, s, v, len(x) - k)),
    'VidTLDRNeck': ('importance', lambda x, s, v, k: loops.vidtldr(x, s, v, len(x) - k))}


def draw(field, shape, ties):
    """A random field of the state; with ties, many values or cosines are exactly equal."""
    if field == 'keys':  # with ties of norm 2 each, so that a cosine is an exact quarter
        keys = torch.randn(*shape, 4, dtype=torch.float64)
        return torch.randint(2, keys.shape).double() * 2 - 1 if ties else keys
    return torch.randint(1, 4, shape) / 4 if ties else torch.rand(shape, dtype=torch.float64)


@pytest.mark.parametrize('name, options, ties, ratio', [
    (name, options, ties, ratio)
    for name, options in [*((name, {}) for name in STEPS), ('EViTNeck', dict(count_fused=True))]
    for ties in (False, True) for ratio in (.05, .3, .5, .7, .9, 1.)
    # bipartite matching merges at most half; a sharpness has no ties unless all tokens are equal
    if not (name in ('ToMeNeck', 'VidTLDRNeck') and ratio < .5 or name == 'VidTLDRNeck' and ties)])
def test_equals_plain_loops(name, options, ties, ratio):
    """Three steps, with tokens of unequal size and, for some reducers, tokens already dropped."""
    field, step_by_loops = STEPS[name]
    neck = MODELS.build(dict(type=name, token_keep_ratio=ratio, **options))
    for num_tokens in (1, 2, 3, 8, 21, 40):
        state = TokenState.start(torch.randn(3, num_tokens, 5, dtype=torch.float64))
        for step in range(3):
            if options and state.num_tokens * ratio <= 1:
                break  # the fused token would be the only one, which is refused
            before = replace(state, step=step, size=state.size.double())
            if field != 'position':
                before = replace(before, **{field: draw(field, state.x.shape[:2], ties)})
            num_left = neck.num_left(before.num_tokens, step)
            state = neck(before)
            assert_equals_loops(before, state, [
                step_by_loops(*clip, num_left) for clip in clips_of(before, field)])


@every_reducer
def test_states(name):
    """Numbers, sizes, provenance and places fit together after two reductions."""
    model, history = randomize(make_vit(name)).eval(), []
    with torch.no_grad():
        model.forward_tokens(make_clips(3), history)
    assert [state.step for state in history] == [0, 1, 1, 2]
    left = 64
    for step, (before, after) in enumerate(zip(history[::2], history[1::2])):
        assert before.num_tokens == left
        left = model.neck.num_left(left, step)
        assert after.size.shape == after.position.shape == (3, left) == after.x.shape[:2]
        assert after.source.dtype == after.position.dtype == torch.int64
        assert after.importance is None and after.keys is None
        assert after.source.shape == (3, 64) and after.source.max() == left - 1
        assert after.source.min() >= (-1 if model.neck.drops_tokens else 0)
        for b in range(3):
            held = after.source[b][after.source[b] >= 0]
            counts = held.bincount(minlength=left).float()
            assert counts.min() >= 1
            if name != 'VidTLDRNeck':  # there a token weighs less than what it stands for
                torch.testing.assert_close(after.size[b], counts)
            own = after.position[b] >= 0
            assert torch.equal(after.source[b, after.position[b][own]], own.nonzero()[:, 0])
        if not model.neck.drops_tokens:
            torch.testing.assert_close(after.size.sum(1), torch.full((3, ), 64.))


@every_reducer
def test_feature_map(name):
    """Every place shows the token that holds it; dropped places are zero."""
    model = randomize(make_vit(name, return_feat_map=True)).eval()
    clips = make_clips()
    with torch.no_grad():
        dense, state = model(clips), model.forward_tokens(clips)
    assert dense.shape == (2, 24, 4, 4, 4)
    for b in range(2):
        for n in range(64):
            owner = state.source[b, n]
            expected = torch.zeros(24) if owner < 0 else state.x[b, owner]
            assert torch.equal(dense[b, :, n // 16, n % 16 // 4, n % 4], expected)


@pytest.mark.parametrize('neck', [
    *(dict(type=name, token_keep_ratio=1.) for name in REDUCERS), dict(type='ToMeNeck', r=0)],
    ids=lambda neck: neck['type'])
def test_all_kept_is_the_plain_network(neck):
    clips, plain = make_clips(), randomize(make_vit()).eval()
    model = make_vit(neck)
    model.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        expected = plain(clips)
        for mode in (False, True):
            torch.testing.assert_close(model.train(mode)(clips), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('neck, is_weighted', [
    (dict(type='GAIENeck'), False), (dict(type='GAIENeck', prop_attn=True), True),
    (dict(type='EViTNeck'), False), (dict(type='EViTNeck', prop_attn=True), True),
    (dict(type='ToMeNeck', r=20), True), (dict(type='ToMeNeck', r=20, prop_attn=False), True)])
def test_final_mean(neck, is_weighted):
    """Each as in its paper, or by size with proportional attention."""
    model, clips = randomize(make_vit(neck)).eval(), make_clips()
    with torch.no_grad():
        state = model.forward_tokens(clips)
        weight = state.size if is_weighted else torch.ones_like(state.size)
        mean = (state.x * weight.unsqueeze(-1)).sum(1) / weight.sum(1, keepdim=True)
        torch.testing.assert_close(model(clips), model.fc_norm(mean), rtol=1e-4, atol=1e-5)


@pytest.fixture(scope='module')
def vit_base():
    """Count the multiply-adds of the config's ViT-B with a neck, on no device."""
    cfg = Config.fromfile(Path(__file__).parents[2] / 'configs/vivit_vitb_imigue.py')
    model = build_recognizer(cfg, 'meta')

    @functools.cache
    def macs(name, ratio=.7):
        neck = MODELS.build(dict(type=name, token_keep_ratio=ratio)).eval()
        neck.setup(1568, 3)
        model.backbone.neck, model.backbone.merge_layers = neck, (3, 6, 9)
        return measure_complexity(model, (3, 16, 224, 224)).true_macs

    return macs


@every_reducer
def test_cost(vit_base, name):
    """Less than the plain ViT-B, and near GAIE's, on the counter of true multiply-adds."""
    cost = vit_base(name)
    assert cost < .64 * vit_base('GAIENeck', 1.)
    assert cost / vit_base('GAIENeck') == pytest.approx(COST_OVER_GAIE.get(name, 1.), abs=1e-4)


@every_reducer
def test_picture(name):
    model, history = randomize(make_vit(name)).eval(), []
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


@every_reducer
@pytest.mark.parametrize('ratio, error, message', [
    (0, ValueError, r'\(0, 1\], but got 0'), (1.01, ValueError, r'\(0, 1\], but got 1.01'),
    ('half', TypeError, "got 'half'"), (True, TypeError, 'got True')])
def test_wrong_ratio(name, ratio, error, message):
    with pytest.raises(error, match=message):
        MODELS.build(dict(type=name, token_keep_ratio=ratio))


@every_reducer
def test_neck_of_the_recognizer(name):
    """Which calls its neck with other arguments than a block does."""
    model = small_recognizer(None)
    model.neck = MODELS.build(dict(type=name, token_keep_ratio=.7))
    with pytest.raises(TypeError, match=f'{name} reduces.*put it in model.backbone.neck instead'):
        model.extract_feat(torch.zeros(1, 1, 3, 8, 32, 32), stage='neck')


@every_reducer
def test_needs_mean_pooling_if_it_drops(name):
    if MODELS.get(name).drops_tokens:
        with pytest.raises(ValueError, match=f'use_mean_pooling must be True with a {name}'):
            make_vit(name, use_mean_pooling=False)
    else:
        assert make_vit(name, use_mean_pooling=False)(make_clips()).shape == (2, 24)


@every_reducer
def test_input_state_is_unchanged(name):
    model = randomize(make_vit(name)).eval()
    tokens = torch.randn(2, 64, SIZE['embed_dims'])
    state = replace(TokenState.start(tokens), importance=torch.rand(2, 64),
                    keys=torch.randn(2, 64, 12))
    copies = {key: value.clone() for key, value in vars(state).items() if torch.is_tensor(value)}
    with torch.no_grad():
        model.neck(state)
    for key, value in copies.items():
        assert torch.equal(getattr(state, key), value)

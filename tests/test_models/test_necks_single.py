"""What single reducers promise beyond test_necks.py."""
from dataclasses import replace

import numpy as np
import pytest
import torch
from mmaction.models.backbones.vit_mae import VisionTransformer
from reference import reducer_loops
from small_model import SIZE, make_clips, make_vit, queries_and_keys, randomize

from gaie_mmaction.models import (
    EViTNeck,
    GAIENeck,
    PruneNeck,
    RandomDropNeck,
    STANeck,
    TokenState,
    ToMeNeck,
    UniformDropNeck,
    VidTLDRNeck,
)
from gaie_mmaction.models.necks.vidtldr_neck import saliency_score


def test_random_in_training_fixed_in_testing():
    neck, state = RandomDropNeck(.5), TokenState.start(torch.zeros(4, 40, 1))
    first, second = neck(state).position, neck(state).position
    assert not torch.equal(first, second) and not torch.equal(first[0], first[1])
    assert first.shape == (4, 20) and (first.diff(dim=1) > 0).all()
    torch.manual_seed(1)
    first = neck(state).position
    torch.manual_seed(1)
    assert torch.equal(neck(state).position, first)
    neck.eval()
    first = neck(state).position
    torch.manual_seed(2)
    assert torch.equal(neck(state).position, first)
    assert torch.equal(first[0].expand_as(first), first)
    assert not torch.equal(RandomDropNeck(.5, seed=1).eval()(state).position, first)


def test_random_is_uniform():
    """Each of 20 tokens stays in half of 4000 draws: 4 standard deviations are 0.032."""
    neck, state = RandomDropNeck(.5), TokenState.start(torch.zeros(4000, 20, 1))
    share = neck(state).position.flatten().bincount(minlength=20) / 4000
    assert (share - .5).abs().max() < .04


@pytest.mark.parametrize('steps', [1, 2, 3])
def test_uniform_is_even_in_space_and_time(steps):
    """Each frame, row and column of the 8x14x14 grid keeps the share of the whole, within 3.5 %."""
    neck, state = UniformDropNeck(.7), TokenState.start(torch.zeros(1, 1568, 1))
    for _ in range(steps):
        state = neck(state)
    grid = torch.zeros(1568)
    grid[state.position[0]] = 1
    grid = grid.view(8, 14, 14)
    for axes in ((1, 2), (0, 2), (0, 1)):
        assert (grid.mean(axes) - grid.mean()).abs().max() < .035


def test_pruning_keeps_what_gaie_keeps():
    """The same tokens at the same places, untouched."""
    state = replace(TokenState.start(torch.randn(2, 30, 4)), importance=torch.rand(2, 30))
    pruned, merged = PruneNeck(.7)(state), GAIENeck(.7)(state)
    assert torch.equal(pruned.position, merged.position)
    assert torch.equal(pruned.x, state.x.gather(1, pruned.position[..., None].expand(-1, -1, 4)))
    assert (pruned.size == 1).all() and not torch.equal(pruned.x, merged.x)


def test_gaie_merges_by_size_if_asked_to():
    state = TokenState.start(torch.randn(2, 40, 5, dtype=torch.float64))
    for _ in range(3):
        before = replace(state, size=state.size.double(), importance=torch.rand(2, len(state.x[0])))
        state = GAIENeck(.6, size_weighted=True)(before)
        reducer_loops.assert_equals_loops(before, state, [
            reducer_loops.diffrate(*clip, before.num_tokens, state.num_tokens, weighted=True)
            for clip in reducer_loops.clips_of(before, 'importance')])


def test_merged_tokens_count_less_if_asked_to():
    """The mean and the sizes, by hand."""
    state = TokenState.start(torch.tensor([[[1., 0], [0, 1], [2, 0], [0, 4]]]))
    state = replace(state, size=torch.tensor([[2., 1, 4, 1]]),
                    importance=torch.tensor([[4., 3, 2, 1]]))
    merged = GAIENeck(.5, size_weighted=True, background_weight=.25)(state)
    assert merged.size.tolist() == [[3., 1.25]]
    torch.testing.assert_close(merged.x, torch.tensor([[[4 / 3, 0], [0, 2 / 1.25]]]))


@pytest.mark.parametrize('metric', ['token', 'key'])
def test_peaks_keep_one_of_each_kind(metric):
    """Of tokens that look alike the most important one stays; importance alone keeps the others."""
    kinds = torch.eye(6)[torch.arange(24) % 6]
    importance = torch.where(torch.arange(24) % 6 == 0, 10., 1.) + torch.rand(24)
    state = replace(TokenState.start((7 * kinds)[None]), importance=importance[None],
                    keys=kinds[None] if metric == 'key' else None)
    peaks = GAIENeck(.25, metric=metric, selection='peaks')(state)
    expected = sorted(int(importance[kind::6].argmax()) * 6 + kind for kind in range(6))
    assert peaks.position[0].tolist() == expected and peaks.size[0].tolist() == [4.] * 6
    assert torch.equal(peaks.x[0], 7 * kinds[peaks.position[0]])
    assert len(set((GAIENeck(.25)(state).position[0] % 6).tolist())) < 6


@pytest.mark.parametrize('groups', [(1, 1), (2, 1), (4, 2), (8, 8)])
@pytest.mark.parametrize('ratio', [.5, .7, .9, 1.])
def test_sta_equals_plain_loops(groups, ratio):
    """Two reductions, the second backward, from groups of even and odd size."""
    neck = STANeck(ratio, groups)
    for size in (1, 2, 5, 6):
        state = TokenState.start(torch.randn(2, 8 * size, 5, dtype=torch.float64))
        for step, number in enumerate(groups):
            keys = torch.randn(2, state.num_tokens, 4, dtype=torch.float64)
            before = replace(state, step=step, keys=keys)
            if before.num_tokens % number:
                with pytest.raises(ValueError, match=f'must divide the tokens, {state.num_tokens}'):
                    neck(before)
                break
            state = neck(before)
            reducer_loops.assert_equals_loops(before, state, [
                reducer_loops.sta(*clip, number, state.num_tokens // number, step % 2 == 1)
                for clip in reducer_loops.clips_of(before, 'keys')])


def test_sta_keeps_what_moves():
    """A scene that stands still but for one token, which has features of its own."""
    keys = torch.eye(16)[:10].repeat(4, 1)  # 4 frames of 10 tokens
    moving = torch.tensor([3, 10 + 4, 20 + 5, 30 + 6])
    keys[moving] = 0
    keys[moving, torch.arange(10, 14)] = 1
    state = replace(TokenState.start(keys[None]), keys=5 * keys[None])
    assert set(moving[1:].tolist()) <= set(STANeck(.5, (4, ))(state).position[0].tolist())


@pytest.mark.parametrize('changes, error, message', [
    (dict(token_keep_ratio=.4), ValueError, r'\[0.5, 1\].* got 0.4'),
    (dict(num_groups=(8, 0)), ValueError, 'at least 1, but got 0'),
    (dict(num_groups=(8, 2.)), TypeError, 'integers, but got 2.0'),
    (dict(num_groups=(8, )), ValueError, r'one number per block in merge_layers, but got \(8,\)'),
    (dict(num_groups=(7, 1)), ValueError, 'divide the tokens, 64 in reduction 1, but got 7')])
def test_sta_options(changes, error, message):
    with pytest.raises(error, match=message):
        make_vit(dict(type='STANeck', **changes))


def test_shift_is_of_the_last_mlp():
    """Also with drop path, which would leave clips without any."""
    model = randomize(make_vit('RepresentationShiftNeck', init_values=.1, drop_path_rate=.5))
    seen = []
    for block in model.blocks:
        block.mlp.register_forward_hook(lambda *args: seen.append(args[2]))
    for mode in (False, True):
        history = []
        seen.clear()
        model.train(mode).forward_tokens(make_clips(4), history)
        for layer, before in zip(model.merge_layers, history[::2]):
            shift = (model.blocks[layer - 1].gamma_2 * seen[layer - 1]).norm(dim=-1)
            torch.testing.assert_close(before.importance, shift.detach())


@pytest.mark.parametrize('arguments, message', [
    (dict(importance='column'), "importance must be one of .* got 'column'"),
    (dict(background_weight=0., size_weighted=True), 'background_weight must be .* but got 0.0'),
    (dict(background_weight=.5), 'and 1 without size_weighted, but got 0.5'),
    (dict(selection='peak'), r"selection must be one of \('importance', 'peaks'\), .* 'peak'"),
    (dict(importance='shift', importance_queries=8), "needs importance='attention'.* got 'shift'")])
def test_gaies_importance(arguments, message):
    with pytest.raises(ValueError, match=message):
        GAIENeck(**arguments)


@pytest.mark.parametrize('neck', [
    'RepresentationShiftNeck', dict(type='GAIENeck', importance='shift')])
def test_no_shift_before_the_first_block(neck):
    with pytest.raises(ValueError, match=r'must be 1 or higher .* but got \(0, 2\)'):
        make_vit(neck, (0, 2))


@pytest.mark.parametrize('ratio', [.5, .7])
def test_evits_fused_token_comes_last_and_can_be_kept_or_fused_again(ratio):
    neck, fates = EViTNeck(ratio), set()
    for _ in range(5):
        state = TokenState.start(torch.randn(3, 60, 5))
        for _ in range(3):
            state = neck(replace(state, importance=torch.rand(state.x.shape[:2])))
            assert (state.position[:, -1] == -1).all()
            fates |= set((state.position == -1).sum(1).tolist())
    assert {1, 2} <= fates


def test_evit_weights_have_no_gradient_but_tokens_do():
    x = torch.randn(1, 6, 3, dtype=torch.float64, requires_grad=True)
    importance = torch.tensor([[.3, .1, .2, .25, .1, .05]])
    state = EViTNeck(.5)(replace(TokenState.start(x), importance=importance))
    weights = torch.randn_like(state.x)
    (state.x * weights).sum().backward()
    share = torch.tensor([0, .4, 0, 0, .4, .2], dtype=torch.float64)
    expected = share[:, None] * weights[0, 3]
    expected[[0, 2, 3]] = weights[0, :3]
    torch.testing.assert_close(x.grad[0], expected, rtol=1e-6, atol=1e-7)


def test_evit_without_any_attention_is_the_plain_mean():
    x = torch.randn(1, 5, 3)
    state = EViTNeck(.4)(replace(TokenState.start(x), importance=torch.zeros(1, 5)))
    torch.testing.assert_close(state.x[0, 2], x[0, 2:].mean(0))


@pytest.mark.parametrize('neck, num_tokens, expected', [
    (GAIENeck(.7), 1568, [1098, 769, 539]),
    (ToMeNeck(.7), 1568, [1098, 769, 539]),
    (EViTNeck(.7), 1568, [1099, 771, 541]),
    (EViTNeck(.7, count_fused=True), 1568, [1098, 769, 539]),
    (ToMeNeck(r=65), 1568, [1568 - 65 * block for block in range(1, 13)]),
    # 10 to 0 in steps of 2.5, rounded down
    (ToMeNeck(r=5, schedule='decreasing'), 100, [90, 83, 78, 76, 76]),
    (ToMeNeck(r=6, schedule='decreasing'), 30, [24]),
    (ToMeNeck(r=[3, 0, 9]), 30, [27, 27, 18])])
def test_token_numbers(neck, num_tokens, expected):
    neck.setup(num_tokens, len(expected))
    left = [num_tokens]
    for step in range(len(expected)):
        left.append(neck.num_left(left[-1], step))
    assert left[1:] == expected


@pytest.mark.parametrize('name, arguments, error, message', [
    ('RandomDropNeck', dict(seed=-1), ValueError, 'at least 0, but got -1'),
    ('RandomDropNeck', dict(seed=.5), TypeError, 'an integer, but got 0.5'),
    ('EViTNeck', dict(token_keep_ratio=.01, count_fused=True), ValueError,
     '0.01, which leaves 1 of 64 tokens with count_fused=True'),
    *(('ToMeNeck', *case) for case in (
        (dict(), ValueError, 'exactly one.*token_keep_ratio=None and r=None'),
        (dict(r=2, token_keep_ratio=.7), ValueError, 'exactly one.*token_keep_ratio=0.7 and r=2'),
        (dict(token_keep_ratio=.49), ValueError, r'\[0.5, 1\].*got 0.49'),
        (dict(r=-1), ValueError, 'at least 0, but got -1'),
        (dict(r=1.5), TypeError, 'got 1.5'),
        (dict(r='all'), TypeError, "got 'a'"),
        (dict(r=[1, 2, 3]), ValueError, r'2 blocks.*got 3: \(1, 2, 3\)'),
        (dict(r=33), ValueError, 'half of the tokens, 32 of the 64 in the merging block 1.*33'),
        (dict(r=25), ValueError, 'half of the tokens, 19 of the 39 in the merging block 2.*25'),
        (dict(r=2, schedule='rising'), ValueError, "got 'rising'"),
        (dict(r=[1, 2], schedule='decreasing'), ValueError, r'single r, but got r=\[1, 2\]'),
        (dict(token_keep_ratio=.7, schedule='decreasing'), ValueError, 'but got r=None')))])
def test_wrong_arguments(name, arguments, error, message):
    with pytest.raises(error, match=message):
        make_vit(dict(type=name, **arguments))


def test_smaller_input_than_built_for():
    with pytest.raises(ValueError, match='16 of the 32.*got 30'):
        make_vit(dict(type='ToMeNeck', r=30), (1, ))(torch.randn(1, 3, 4, 32, 32))


def test_r_needs_a_backbone():
    state = replace(TokenState.start(torch.randn(1, 8, 2)), keys=torch.randn(1, 8, 2))
    with pytest.raises(RuntimeError, match='built as the neck of a backbone'):
        ToMeNeck(r=2)(state)


def test_vidtldrs_score_is_the_papers_two_scalings():
    sharpness = torch.rand(4, 50, dtype=torch.float64) * 3 + 1
    expected = [reducer_loops.saliency(clip) for clip in sharpness.tolist()]
    np.testing.assert_allclose(saliency_score(sharpness), expected, rtol=1e-12, atol=1e-14)
    score = saliency_score(sharpness)
    assert torch.equal(score == 0, sharpness < sharpness.mean(1, keepdim=True))
    assert torch.equal(score.amax(1), torch.ones(4, dtype=torch.float64))
    assert not saliency_score(torch.ones(2, 7)).any()


def test_vidtldrs_background_leaves_no_trace():
    """Two equal pairs: the sharp token is averaged in, the blunt one is gone."""
    x = torch.tensor([[[1., 0.], [3., 0.], [0., 1.], [0., 5.]]])
    state = VidTLDRNeck(.5)(replace(
        TokenState.start(x), importance=torch.tensor([[4., 1., 0., 1.]])))
    assert state.x.tolist() == [[[2, 0], [0, 5]]]
    assert state.size.tolist() == [[2, 1]] and state.source.tolist() == [[0, 0, -1, 1]]


@pytest.mark.parametrize('neck, step_by_loops', [
    (dict(type='VidTLDRNeck', r=[20, 3]), lambda *clip: reducer_loops.vidtldr(*clip, 20)),
    (dict(type='GAIENeck', importance='sharpness'),
     lambda *clip: reducer_loops.diffrate(*clip, 64, 45))])
def test_sharpness_is_of_the_blocks_own_attention(neck, step_by_loops):
    """The first reduction of the whole network, from upstream's modules and loops."""
    upstream = randomize(VisionTransformer(**SIZE)).double().eval()
    model = make_vit(neck, (0, 1)).double().eval()
    model.load_state_dict(upstream.state_dict())
    clips, history = make_clips().double(), []
    with torch.no_grad():
        model.forward_tokens(clips, history)
        x = upstream.patch_embed(clips)[0] + upstream.pos_embed
        block, normed = upstream.blocks[0], upstream.blocks[0].norm1(x)
        q, k = queries_and_keys(block.attn, normed)
        sharp = reducer_loops.sharpness(q.numpy(), k.numpy(), 12**-.5)
        np.testing.assert_allclose(history[0].importance, sharp, rtol=1e-5)
        x = x + block.attn(normed)
        reducer_loops.assert_equals_loops(history[0], history[1], [
            step_by_loops(x[b].numpy(), np.ones(64), sharp[b]) for b in range(2)], rtol=1e-4)

"""DiffRate against plain loops, its masks against removal, and the search for a cost."""
import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from mmaction.registry import HOOKS, MODELS
from mmaction.structures import ActionDataSample
from mmengine.runner import Runner, load_checkpoint
from reference import reducer_loops
from small_model import SIZE, make_clips, make_vit, randomize

from gaie_mmaction.benchmark import measure_complexity
from gaie_mmaction.models import DiffRateNeck, TokenState
from gaie_mmaction.models.necks.diffrate_neck import MaskedState, cost_ratio
from gaie_mmaction.ops.discrete_rate import (
    expected_count,
    keep_probability,
    logits_of_mean,
    straight_through,
)


def make_model(merge_layers=(1, 2), **neck):
    return make_vit(dict(type='DiffRateNeck', **neck), merge_layers)


def set_counts(neck, counts):
    """Set learned probabilities whose means are these counts."""
    with torch.no_grad():
        for step, pair in enumerate(counts):
            for logits, count in zip((neck.prune_logits, neck.merge_logits), pair):
                count = min(max(count, 1.25), neck.num_tokens - .25)
                logits[step] = logits_of_mean(neck.candidates, count)
    neck.update_counts()


@pytest.mark.parametrize('counts', [[(50, 40), (30, 30), (30, 7)], [(64, 20), (10, 10), (10, 1)]])
def test_equals_plain_loops(counts):
    """Pruning and merging, each alone and both, when tokens are removed."""
    neck = make_model((0, 1, 2)).neck.eval()
    set_counts(neck, counts)
    assert neck.counts == counts
    state = TokenState.start(torch.randn(3, 64, 5, dtype=torch.float64))
    for step, pair in enumerate(counts):
        before = replace(state, importance=torch.rand(state.x.shape[:2]), step=step)
        state = neck(before)
        reducer_loops.assert_equals_loops(before, state, [
            reducer_loops.diffrate(*clip, *pair)
            for clip in reducer_loops.clips_of(before, 'importance')])


@pytest.mark.parametrize('granularity', [1, 3, 10])
def test_probabilities_equal_loops(granularity):
    candidates = torch.arange(40, 0, -granularity).flip(0).double()
    logits = torch.randn(len(candidates), dtype=torch.float64, requires_grad=True)
    probabilities = logits.softmax(0).tolist()
    kept = keep_probability(logits, candidates, 40)
    expected = [reducer_loops.keep_probability(probabilities, candidates.tolist(), k)
                for k in range(40)]
    np.testing.assert_allclose(kept.detach(), expected, rtol=1e-12)
    # the mean count is the sum of the probabilities to be kept
    torch.testing.assert_close(kept.sum(), expected_count(logits, candidates))


@pytest.mark.parametrize('mean', [1.25, 2, 700, 1098, 1567.75])
def test_start_has_the_wanted_mean(mean):
    candidates = torch.arange(1., 1569)
    logits = logits_of_mean(candidates, mean)
    assert expected_count(logits, candidates).item() == pytest.approx(mean, abs=.01)
    assert not logits_of_mean(candidates, 784.5).abs().max() > 1e-4  # the paper's equal start
    with pytest.raises(ValueError, match=r'\(1, 1568\), but got 1568'):
        logits_of_mean(candidates, 1568)


def test_straight_through():
    soft = torch.tensor([.3, .8], requires_grad=True)
    mask = straight_through(torch.tensor([0., 1.]), soft)
    assert mask.tolist() == [0, 1]
    mask.sum().backward()
    assert soft.grad.tolist() == [1, 1]


def test_starts_with_as_many_tokens_as_gaie():
    neck = DiffRateNeck(granularity=8)
    neck.setup(1568, 3)
    assert neck.counts == [(1333, 1098), (934, 769), (654, 539)]
    for dtype, error in ((torch.float16, 0), (torch.bfloat16, 2)):  # of what the logits lose
        counts = copy.deepcopy(neck).to(dtype).eval().counts
        assert np.abs(np.array(counts) - neck.counts).max() <= error


@pytest.mark.parametrize('prop_attn', [False, True])
@pytest.mark.parametrize('counts', [
    [(50, 40), (40, 40), (30, 22), (22, 9)],
    [(64, 64), (30, 30), (30, 30), (30, 29)],
    [(64, 20), (64, 20), (20, 19), (1, 1)]])
def test_masks_are_removal(prop_attn, counts):
    """Training with masks and testing with removal compute the same."""
    model = randomize(make_model(range(4), prop_attn=prop_attn))
    set_counts(model.neck, counts)
    clips, hidden, removed = make_clips(), [], []
    with torch.no_grad():
        training = model.train()(clips)
        testing = model.eval()(clips)
        torch.testing.assert_close(training, testing, rtol=1e-5, atol=1e-5)
        model.train().forward_tokens(clips, hidden)
        model.eval().forward_tokens(clips, removed)
    for before, after in zip(hidden[1::2], removed[1::2]):
        assert before.x.shape[1] == 64 and after.x.shape[1] < 65
        for b in range(2):
            visible = before.mask[b].nonzero()[:, 0]
            assert torch.equal(visible, after.position[b])
            torch.testing.assert_close(before.x[b, visible], after.x[b], rtol=1e-4, atol=1e-5)
            assert torch.equal(before.size[b, visible], after.size[b])
            owner = torch.where(after.source[b] < 0, -1, visible[after.source[b]])
            assert torch.equal(before.source[b], owner)


@pytest.mark.parametrize('merge_layers', [(1, 2), (0, 1, 2, 3), (3, )])
def test_cost_is_what_is_counted(merge_layers):
    """cost_ratio against the counter of operators, for the counts of the moment."""

    def count(backbone):
        # what the counter calls of a recognizer: a batch of views, and the stage
        network = copy.deepcopy(backbone).eval().to('meta')
        network.forward = lambda x, stage: type(backbone).forward(network, x[0])
        return measure_complexity(network, (3, 8, 32, 32)).true_macs

    model = make_model(merge_layers, token_keep_ratio=.6)
    expected = count(model) / count(make_vit())
    assert cost_ratio(model).item() == pytest.approx(expected, rel=1e-6)
    model.neck.fix_counts()
    assert cost_ratio(model).item() == pytest.approx(expected, rel=1e-6)


def test_gradient_of_the_cost_lowers_it():
    model = make_model()
    before = cost_ratio(model)
    before.backward()
    with torch.no_grad():
        for logits in (model.neck.prune_logits, model.neck.merge_logits):
            logits -= 200 * logits.grad
    assert cost_ratio(model) < before - .01


def test_fixed_counts_remove_in_training():
    model, clips = make_model(), make_clips()
    expected = model(clips)
    model.neck.fix_counts()
    counts, history = list(model.neck.counts), []
    torch.testing.assert_close(model(clips), expected, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        model.neck.merge_logits.normal_()  # no longer matters
    model.train().forward_tokens(clips, history)
    assert [state.x.shape[1] for state in history[1::2]] == [left for _, left in counts]
    assert not isinstance(history[-1], MaskedState)
    cost_ratio(model).backward()
    assert not model.neck.merge_logits.grad.any()  # takes part, without an effect


@pytest.mark.parametrize('fixed', [False, True])
def test_state_dict_carries_the_counts(fixed):
    model, other = make_model(token_keep_ratio=.5), make_model(token_keep_ratio=.9)
    assert model.neck.counts != other.neck.counts
    if fixed:
        model.neck.fix_counts()
        torch.nn.init.normal_(model.neck.merge_logits)
    other.load_state_dict(copy.deepcopy(model.state_dict()))
    assert other.neck.counts == model.neck.counts and other.neck.is_fixed == fixed


class Clips(torch.utils.data.Dataset):
    """Noisy clips of two classes, with the class in the brightness of one half."""
    metainfo = dict()

    def __len__(self):
        return 40

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        clip = torch.randint(0, 100, (1, 3, 8, 32, 32), generator=generator, dtype=torch.uint8)
        clip[..., :16] += 150 * (index % 2)
        return dict(inputs=clip, data_samples=ActionDataSample().set_gt_label(index % 2))


def make_cfg(**neck):
    return dict(
        type='Recognizer3D',
        backbone=dict(type='GAIEVisionTransformer', merge_layers=(0, 1, 2),
                      neck=dict(type='DiffRateNeck', **neck), **SIZE),
        cls_head=dict(type='TimeSformerHead', num_classes=2, in_channels=24),
        data_preprocessor=dict(type='ActionDataPreprocessor', mean=[127.] * 3, std=[60.] * 3,
                               format_shape='NCTHW'))


def make_runner(tmp_path, hook, epochs, **neck):
    keys = {'backbone.neck': dict(lr_mult=50., decay_mult=0.)}
    return Runner(
        model=make_cfg(**neck),
        work_dir=str(tmp_path),
        train_dataloader=dict(
            dataset=Clips(), batch_size=4, sampler=dict(type='DefaultSampler', shuffle=True),
            collate_fn=dict(type='pseudo_collate')),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=3e-3, weight_decay=.01),
                           paramwise_cfg=dict(custom_keys=keys)),
        custom_hooks=[hook],
        default_scope='mmaction',
        experiment_name=tmp_path.name,
        randomness=dict(seed=0))


@pytest.mark.parametrize('target, start', [(.6, .97), (.75, .6)])
def test_training_reaches_the_target(tmp_path, target, start):
    """From above and from below, within 3 %, and the clips are learned meanwhile."""
    hook = dict(type='DiffRateHook', target_ratio=target, search_epochs=10)
    runner = make_runner(tmp_path, hook, 11, token_keep_ratio=start)
    neck = runner.model.backbone.neck
    assert abs(cost_ratio(runner.model.backbone).item() - target) > .1
    runner.train()
    assert neck.is_fixed
    assert cost_ratio(runner.model.backbone).item() == pytest.approx(target, rel=.03)
    logged = runner.message_hub.log_scalars
    assert {'train/loss_flops', 'train/cost_ratio', 'train/loss_cls'} <= set(logged)
    losses = logged['train/loss_cls'].data[0]
    assert np.mean(losses[-10:]) < .5 * np.mean(losses[:10])
    np.testing.assert_allclose(
        logged['train/loss'].data[0], losses + logged['train/loss_flops'].data[0], rtol=1e-5)
    model = MODELS.build(make_cfg())
    load_checkpoint(model, str(tmp_path / 'epoch_11.pth'), map_location='cpu', strict=True)
    assert model.backbone.neck.is_fixed and model.backbone.neck.counts == neck.counts


@pytest.mark.parametrize('arguments, message', [
    (dict(target_ratio=0), r'\(0, 1\], but got 0'),
    (dict(target_ratio=1.1), r'\(0, 1\], but got 1.1'),
    (dict(target_ratio=.6, loss_weight=0), 'above 0, but got 0'),
    (dict(target_ratio=.6, search_epochs=0), 'at least 1, but got 0')])
def test_wrong_hook(arguments, message):
    with pytest.raises(ValueError, match=message):
        HOOKS.build(dict(type='DiffRateHook', **arguments))


def test_hook_needs_the_neck(tmp_path):
    runner = make_runner(tmp_path, dict(type='DiffRateHook', target_ratio=.6), 1)
    runner.model.backbone.neck = None
    with pytest.raises(ValueError, match='a DiffRateNeck in model.backbone.neck, but got NoneType'):
        runner.train()


@pytest.mark.parametrize('arguments, error, message', [
    (dict(granularity=0), ValueError, 'at least 1, but got 0'),
    (dict(granularity=64), ValueError, r'\[1, 64\).*got 64'),
    (dict(granularity=2.), TypeError, 'an integer, but got 2.0'),
    (dict(merge_layers=()), ValueError, 'at least one block.*got none')])
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        make_model(**arguments)


def test_another_number_of_tokens():
    with pytest.raises(ValueError, match='for 64 tokens.*got 32'):
        make_model()(torch.randn(1, 3, 4, 32, 32))
    with pytest.raises(ValueError, match='got 3'):
        DiffRateNeck()(TokenState.start(torch.zeros(1, 3, 2)))

"""Token maps of validation clips reach the visualizer's backends."""
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmaction.registry import HOOKS, VISUALIZERS
from mmaction.structures import ActionDataSample
from small_model import small_recognizer

from gaie_mmaction.visualization import TokenMap


class Images(list):
    dataset_meta = dict(classes=['nod', 'shrug', 'wave'])

    def add_image(self, name, image, step):
        self.append((name, image, step))


def make_runner(visualizer, neck='GAIENeck'):
    return SimpleNamespace(
        model=small_recognizer(neck and dict(type=neck)), visualizer=visualizer, epoch=0)


def batch(first, views=1):
    samples = [ActionDataSample(metainfo=dict(clip_id=f'0001_{first + k}')).set_gt_label(k)
               for k in range(2)]
    inputs = [torch.randint(0, 256, (views, 3, 8, 32, 32), dtype=torch.uint8) for _ in samples]
    return dict(inputs=inputs, data_samples=samples)


def validate(hook, runner, num_batches=3, views=1):
    hook.before_val_epoch(runner)
    for k in range(num_batches):
        data = batch(2 * k, views)
        hook.before_val_iter(runner, k, data)
        with torch.no_grad():
            outputs = runner.model.test_step(data)
        hook.after_val_iter(runner, k, data, outputs)


def test_first_clips_of_each_wanted_epoch():
    runner = make_runner(Images())
    hook = HOOKS.build(dict(type='TokenMapHook', num_clips=3, interval=2))
    hook.before_run(runner)
    for runner.epoch in range(1, 5):
        validate(hook, runner)
    assert [(name, step) for name, _, step in runner.visualizer] == [
        (f'tokens_0001_{k}', epoch) for epoch in (2, 4) for k in range(3)]
    image = runner.visualizer[0][1]
    assert image.dtype == np.uint8 and image.shape[2] == 3 and image.std() > 20
    assert not any(module._forward_hooks for module in runner.model.modules())


def test_frames_beside_skeletons():
    """The inputs of the multimodal models are named."""
    runner, hook, data = make_runner(Images()), HOOKS.build(dict(type='TokenMapHook')), batch(0)
    hook.before_run(runner)
    hook.before_val_epoch(runner)
    hook.before_val_iter(runner, 0, data)
    with torch.no_grad():
        outputs = runner.model.test_step(data)
    hook.after_val_iter(runner, 0, dict(inputs=dict(imgs=data['inputs'])), outputs)
    assert [name for name, *_ in runner.visualizer] == ['tokens_0001_0', 'tokens_0001_1']
    runner.model.backbone.merge_layers = ()
    with pytest.raises(ValueError, match='merge_layers is empty'):
        hook.before_run(runner)


def test_views_of_a_clip(monkeypatch):
    places = []
    original = TokenMap.from_history
    monkeypatch.setattr(TokenMap, 'from_history', lambda history, grid, place: (
        places.append(place), original(history, grid, place))[1])
    runner = make_runner(Images())
    validate(HOOKS.build(dict(type='TokenMapHook', num_clips=2)), runner, views=3)
    assert places == [0, 3]


def test_wrong_use():
    hook = HOOKS.build(dict(type='TokenMapHook'))
    with pytest.raises(ValueError, match='no token reducer'):
        hook.before_run(make_runner(Images(), neck=None))
    with pytest.raises(ValueError, match='at least 1, but got 0'):
        HOOKS.build(dict(type='TokenMapHook', num_clips=0))


def test_tensorboard(tmp_path):
    pytest.importorskip('tensorboard')
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    visualizer = VISUALIZERS.build(dict(
        type='ActionVisualizer', name='pictures', save_dir=str(tmp_path), vis_backends=[
            dict(type='TensorboardVisBackend'), dict(type='LocalVisBackend')]))
    visualizer.dataset_meta = Images.dataset_meta
    runner = make_runner(visualizer)
    validate(HOOKS.build(dict(type='TokenMapHook', num_clips=1)), runner)
    visualizer.close()
    events = EventAccumulator(str(tmp_path / 'vis_data')).Reload()
    assert events.Tags()['images'] == ['tokens_0001_0']
    assert (tmp_path / 'vis_data/vis_image/tokens_0001_0_0.png').stat().st_size > 5000

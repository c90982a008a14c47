"""A resumed training draws the random numbers of an uninterrupted one."""
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmaction.registry import DATASETS
from tiny_training import MASKED, InventedClips, make_runner, read_losses, write_config

from gaie_mmaction.hooks import StepSeedHook, step_seed

MORE = """
model = dict(cls_head=dict(dropout_ratio=0.5))
custom_hooks = [dict(type='LossLog'){hook}]
train_dataloader = dict(dataset=dict(type='NoisyClips'), num_workers={workers})
train_cfg = dict(val_interval=9)
"""
HOOK = ", dict(type='StepSeedHook')"


@DATASETS.register_module(force=True)
class NoisyClips(InventedClips):
    """With an augmentation that draws from NumPy, as most of MMAction2's do."""

    def prepare_data(self, idx):
        data = super().prepare_data(idx)
        noise = torch.from_numpy(np.random.normal(0, 9, data['inputs'].shape))
        return dict(data, inputs=(data['inputs'] + noise).float())


def losses_of(folder, config, stops=(2, ), **options):
    """Of a training that is interrupted after the first epochs, whatever drew since."""
    path, losses = write_config(folder, config), {}
    for epochs in stops:
        np.random.seed(epochs)
        torch.manual_seed(epochs)
        runner = make_runner(path, resume=epochs > stops[0], train_cfg__max_epochs=epochs,
                             **options)
        runner.train()
        # PyTorch waits 5 seconds for a worker that is left to the garbage collection
        runner.train_dataloader._iterator = None
        more = read_losses(folder / 'work')
        (folder / 'work/losses.txt').unlink()
        assert not losses.keys() & more.keys()  # a new start would draw the same again
        losses |= more
    return losses


@pytest.fixture(scope='module')
def masked(tmp_path_factory):
    return losses_of(tmp_path_factory.mktemp('masked'), MASKED)


def test_masks_with_any_number_of_workers(tmp_path, masked):
    assert len(masked) == 8 and len(set(masked.values())) == 8
    assert losses_of(tmp_path, MASKED, train_dataloader__num_workers=2) == masked


def test_masks_of_a_resumed_training(tmp_path, masked):
    assert losses_of(tmp_path, MASKED, (1, 2)) == pytest.approx(masked, rel=1e-6)


def test_seeds_steps_and_processes_draw_others(monkeypatch):
    """In a training, weights and clips differ too."""
    drawn = set()
    for seed, step, rank in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)]:
        monkeypatch.setattr(step_seed, 'get_rank', lambda rank=rank: rank)
        StepSeedHook().before_train_iter(SimpleNamespace(seed=seed, iter=step), 0)
        drawn.add(torch.rand(1).item())
    assert len(drawn) == 4


def test_epochs_processes_and_workers_draw_others(monkeypatch):
    def start_worker(_):  # as mmengine seeds it, in each epoch alike
        np.random.seed(0)
        torch.manual_seed(0)

    drawn = set()
    for epoch, rank in [(0, 0), (1, 0), (0, 1), (0, 0)]:
        monkeypatch.setattr(step_seed, 'get_rank', lambda rank=rank: rank)
        loader = SimpleNamespace(persistent_workers=False, worker_init_fn=start_worker)
        runner = SimpleNamespace(seed=0, epoch=epoch, train_dataloader=loader)
        hook = StepSeedHook()
        hook.before_train(runner)
        hook.before_train_epoch(runner)
        drawn.add((torch.rand(1).item(), np.random.rand()))
        for worker in range(2):
            loader.worker_init_fn(worker)
            drawn.add((torch.rand(1).item(), np.random.rand()))
    assert len(drawn) == 3 * 3
    for values in zip(*drawn):
        assert len(set(values)) == 3 * 3


@pytest.mark.parametrize('workers', [0, 2])
def test_dropout_and_augmentation_of_a_resumed_training(tmp_path, workers):
    config = MORE.format(hook=HOOK, workers=workers)
    whole, parts = (losses_of(tmp_path / str(stops), config, stops) for stops in ((2, ), (1, 2)))
    assert whole == pytest.approx(parts, rel=1e-6) and len(whole) == 8


def test_without_the_hook_it_draws_others(tmp_path):
    config = MORE.format(hook='', workers=0)
    whole, parts = (losses_of(tmp_path / str(stops), config, stops) for stops in ((2, ), (1, 2)))
    assert whole != pytest.approx(parts, rel=1e-6)


def test_persistent_workers_are_refused(tmp_path):
    config = write_config(tmp_path, MORE.format(hook=HOOK, workers=1))
    with pytest.raises(ValueError, match='persistent_workers=False'):
        make_runner(config, train_dataloader__persistent_workers=True).train()

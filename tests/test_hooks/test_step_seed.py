"""A resumed training draws the random numbers of an uninterrupted one."""
import numpy as np
import pytest
import torch
from mmaction.registry import DATASETS
from tiny_training import MASKED, InventedClips, make_runner, read_losses, write_config

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
    path = write_config(folder, config)
    for epochs in stops:
        np.random.seed(epochs)
        torch.manual_seed(epochs)
        make_runner(path, resume=epochs > stops[0], train_cfg__max_epochs=epochs, **options).train()
    return read_losses(folder / 'work')


@pytest.fixture(scope='module')
def masked(tmp_path_factory):
    return losses_of(tmp_path_factory.mktemp('masked'), MASKED)


def test_masks_with_any_number_of_workers(tmp_path, masked):
    assert len(masked) == 8 and len(set(masked.values())) == 8
    assert losses_of(tmp_path, MASKED, train_dataloader__num_workers=2) == masked


def test_masks_of_a_resumed_training(tmp_path, masked):
    assert losses_of(tmp_path, MASKED, (1, 2)) == pytest.approx(masked, rel=1e-6)


def test_another_seed(tmp_path, masked):
    assert losses_of(tmp_path, MASKED, randomness__seed=1) != masked


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

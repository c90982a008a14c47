"""A training that goes on at an epoch draws the random numbers of an uninterrupted one."""
import numpy as np
import pytest
import torch
from mmaction.registry import DATASETS
from tiny_training import InventedClips, make_runner, read_losses, write_config

MORE = """
model = dict(cls_head=dict(dropout_ratio=0.5))
custom_hooks = [dict(type='LossLog'){hook}]
train_dataloader = dict(dataset=dict(type='NoisyClips'), num_workers={workers})
train_cfg = dict(val_interval=9)
"""


@DATASETS.register_module(force=True)
class NoisyClips(InventedClips):
    """With an augmentation that draws from NumPy, as most of MMAction2's do."""

    def prepare_data(self, idx):
        data = super().prepare_data(idx)
        noise = torch.from_numpy(np.random.normal(0, 9, data['inputs'].shape))
        return dict(data, inputs=(data['inputs'] + noise).float())


def losses_of(folder, hook, workers, stops):
    config = write_config(folder, MORE.format(hook=hook, workers=workers))
    for epochs in stops:
        # as after a crash, whatever drew random numbers since
        np.random.seed(epochs)
        torch.manual_seed(epochs)
        make_runner(config, resume=epochs > stops[0], train_cfg__max_epochs=epochs).train()
    return read_losses(folder / 'work')


HOOK = ", dict(type='EpochSeedHook')"


@pytest.mark.parametrize('workers', [0, 2])
def test_resumed_training_draws_the_same(tmp_path, workers):
    whole = losses_of(tmp_path / 'a', HOOK, workers, [2])
    parts = losses_of(tmp_path / 'b', HOOK, workers, [1, 2])
    assert whole == pytest.approx(parts, rel=1e-6) and len(whole) == 8


def test_without_the_hook_it_draws_others(tmp_path):
    whole, parts = (losses_of(tmp_path / str(len(stops)), '', 0, stops) for stops in ([2], [1, 2]))
    assert whole != pytest.approx(parts, rel=1e-6)


def test_persistent_workers_are_refused(tmp_path):
    config = write_config(tmp_path, MORE.format(hook=HOOK, workers=1))
    with pytest.raises(ValueError, match='persistent_workers=False'):
        make_runner(config, train_dataloader__persistent_workers=True).train()

"""A loss that is no number ends the training, with the batch at hand."""
import errno
import math
from unittest.mock import Mock

import pytest
import torch
from mmengine.hooks import Hook
from tiny_training import make_runner, write_config

EPOCH = 4  # steps


@pytest.fixture
def runner(tmp_path):
    return make_runner(write_config(tmp_path), train_dataloader__dataset__broken=5)


def test_stops_with_step_clips_and_batch(tmp_path, runner):
    with pytest.raises(FloatingPointError) as error:
        runner.train()
    work = tmp_path / 'work'
    path, = work.glob('invalid_loss_iter_*.pth')
    content = torch.load(path, weights_only=True)
    step = content['iter']
    assert 1 <= step <= EPOCH and content['epoch'] == 1
    assert path.name == f'invalid_loss_iter_{step}.pth'
    assert '0001_5' in content['clip_ids'] and len(content['clip_ids']) == 4
    assert math.isnan(content['losses']['loss'])
    for clip_id, clip, label in zip(
            content['clip_ids'], content['inputs'], content['labels'], strict=True):
        number = int(clip_id.split('_')[1])
        assert label.item() == number % 4
        assert torch.isnan(clip).all() == (number == 5) and clip.shape == (1, 3, 4, 16, 16)
    text = str(error.value)
    assert f'the loss is nan at step {step} (epoch 1) with the clips ' in text
    assert ', '.join(content['clip_ids']) in text and f'the batch is saved in {path}' in text
    assert not list(work.glob('epoch_*.pth'))  # nothing is saved of spoilt weights


def test_batch_of_the_step_before(tmp_path, runner):
    """Weights spoilt at one step show in the loss of the next."""
    runner.train_loop.dataloader.dataset.broken = -1
    seen = []

    class Spoil(Hook):

        def after_train_iter(self, runner, batch_idx, data_batch, outputs):
            seen.append([sample.clip_id for sample in data_batch['data_samples']])
            if runner.iter == 1:
                next(runner.model.parameters()).data.fill_(float('inf'))

    runner.register_hook(Spoil())
    with pytest.raises(FloatingPointError, match=r'at step 3 .*at the step before \(clips '):
        runner.train()
    content = torch.load(tmp_path / 'work' / 'invalid_loss_iter_3.pth', weights_only=True)
    assert content['previous_clip_ids'] == seen[1]


def test_full_disk_does_not_hide_the_loss(tmp_path, runner, monkeypatch):
    monkeypatch.setattr(torch, 'save', Mock(side_effect=OSError(errno.ENOSPC, 'No space left')))
    with pytest.raises(FloatingPointError, match='batch could not be saved to .*No space left'):
        runner.train()
    assert not [path for path in (tmp_path / 'work').iterdir() if 'invalid' in path.name]

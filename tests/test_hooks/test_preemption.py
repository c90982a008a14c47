"""SIGTERM saves and leaves; --resume goes on with the next batch."""
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import loops
from tiny_training import assert_same_weights, make_runner, read_losses, write_config

from gaie_mmaction.hooks.preemption import _outlive_sigterm
from gaie_mmaction.policy import load_checkpoint_safely

EMA = "custom_hooks = [dict(type='LossLog'), dict(type='EMAHook', momentum=0.1)]"


class Signal(Hook):
    """Send SIGTERM to this process and its workers while a step is under way."""

    def __init__(self, step):
        self.step = step

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter + 1 == self.step:
            self.workers = multiprocessing.active_children()
            # from another process, as a worker has to obey its parent
            pids = [os.getpid(), *(worker.pid for worker in self.workers)]
            subprocess.run(['kill', '-TERM', *map(str, pids)], check=True)


class SignalInValidation(Hook):
    """The same at a batch of the validation after an epoch."""

    def __init__(self, epoch, batch):
        self.place = epoch, batch

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        if (runner.epoch, batch_idx) == self.place:
            os.kill(os.getpid(), signal.SIGTERM)


class Scores(Hook):
    """What each validation has predicted, by iteration and batch."""

    def __init__(self):
        self.found = {}

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.found[runner.iter, batch_idx] = torch.stack([one.pred_score for one in outputs])


@pytest.fixture(autouse=True)
def handler():
    """What a training that was left has installed."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope='module')
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp('unbroken')
    make_runner(write_config(folder, EMA)).train()
    return folder / 'work'


def train_until(hook, config, **options):
    """Train until the hook's signal; returns the runner."""
    runner = make_runner(config, **options)
    runner.register_hook(hook)
    with pytest.raises(SystemExit) as left:
        runner.train()
    assert left.value.code == 143
    # PyTorch waits 5 seconds for workers that are left to the garbage collection
    runner.train_dataloader._iterator = None
    return runner


def assert_unbroken(work, unbroken, name='epoch_3.pth'):
    """Each step once, with the same batches and learning rates, and the same end."""
    assert len((work / 'losses.txt').read_text().splitlines()) == 12
    assert read_losses(work) == pytest.approx(read_losses(unbroken), rel=1e-6)
    assert_same_weights(work, unbroken, name)


@pytest.mark.parametrize('step, workers', [(1, 0), (6, 1), (8, 0), (12, 0)])
def test_saves_leaves_and_goes_on(tmp_path, unbroken, step, workers):
    config, work = write_config(tmp_path, EMA), tmp_path / 'work'
    options = dict(train_dataloader__num_workers=workers,
                   train_dataloader__persistent_workers=workers > 0)
    hook = Signal(step)
    train_until(hook, config, **options)
    assert len(hook.workers) >= workers
    assert (work / 'last_checkpoint').read_text() == str(work / 'preempted.pth')
    assert load_checkpoint_safely(str(work / 'preempted.pth'))['meta']['iter'] == step
    resumed = make_runner(config, resume=True, **options)
    resumed.train()
    resumed.train_dataloader._iterator = None
    assert_unbroken(work, unbroken)
    assert resumed.iter == 12


def test_finishes_the_step_of_accumulated_gradients(tmp_path):
    """Three iterations make a step; the signal comes in the second one, across two epochs."""
    options = dict(optim_wrapper__accumulative_counts=3)
    for name in ('whole', 'broken'):
        (tmp_path / name).mkdir()
    config = write_config(tmp_path / 'whole', EMA)
    make_runner(config, **options).train()
    config, work = write_config(tmp_path / 'broken', EMA), tmp_path / 'broken/work'
    train_until(Signal(4), config, **options)
    assert load_checkpoint_safely(str(work / 'preempted.pth'))['meta']['iter'] == 6
    make_runner(config, resume=True, **options).train()
    assert_unbroken(work, tmp_path / 'whole/work')


EACH_EPOCH = dict(  # and a schedule that makes its steps between epochs
    train_cfg__val_interval=1, param_scheduler__convert_to_iter_based=False,
    default_hooks__checkpoint__save_best='acc/top1')
WARM_UP = ("custom_hooks = [dict(type='LossLog'), dict(type='EMAHook', momentum=0.1), "
           "dict(type='TokenKeepRatioWarmupHook', end=2)]\n")
BY_ITERATION = (
    EMA + "\ntrain_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=12, "
    "val_interval=4)\nparam_scheduler = dict(T_max=12, end=12, by_epoch=False)\n"
    'default_hooks = dict(checkpoint=dict(by_epoch=False, interval=4))\n')


@pytest.mark.parametrize('more, options, epoch, step, end', [
    (WARM_UP, EACH_EPOCH, 1, 4, 'epoch_3.pth'),
    (WARM_UP, EACH_EPOCH, 3, 12, 'epoch_3.pth'),
    (BY_ITERATION, dict(param_scheduler__convert_to_iter_based=False), 0, 4, 'iter_12.pth'),
], ids=['first', 'last', 'by_iteration'])
def test_validation_is_left_and_run_anew(tmp_path, monkeypatch, more, options, epoch, step, end):
    """Neither a step of training nor a validation is lost or done twice."""
    # mmengine's loop by iterations pauses between epochs
    monkeypatch.setattr(loops.time, 'sleep', lambda seconds: None)

    def train(folder, signal_at=None, **further):
        runner = make_runner(write_config(folder, more), **options, **further)
        scores = Scores()
        runner.register_hook(scores)
        if signal_at is None:
            runner.train()
        else:
            runner.register_hook(signal_at)
            with pytest.raises(SystemExit, match='143'):
                runner.train()
        return scores.found

    unbroken = train(tmp_path / 'unbroken')
    assert {key[0] for key in unbroken} == {4, 8, 12}
    work = tmp_path / 'broken/work'
    before = train(tmp_path / 'broken', SignalInValidation(epoch, 1))
    assert max(before) == (step, 1) and (step, 3) in unbroken
    assert (work / 'last_checkpoint').read_text() == str(work / 'preempted.pth')
    after = train(tmp_path / 'broken', resume=True)
    assert sorted(after) == [key for key in sorted(unbroken) if key[0] >= step]
    for found in (before, after):
        for key, scores in found.items():
            torch.testing.assert_close(scores, unbroken[key])
    assert_unbroken(work, tmp_path / 'unbroken/work', end)


@pytest.mark.parametrize('randomness', [
    dict(seed=None), dict(seed=None, diff_rank_seed=True)])
def test_same_order_where_the_sampler_has_no_seed_of_the_config(tmp_path, randomness):
    """Otherwise, the rest of the epoch would repeat some clips and leave out others."""
    config, orders = write_config(tmp_path, EMA), []
    for resume in (False, True):
        runner = make_runner(config, resume=resume, randomness=randomness)
        if resume:
            runner.train()
        else:
            runner.register_hook(Signal(6))
            with pytest.raises(SystemExit):
                runner.train()
        sampler = runner.train_dataloader.batch_sampler.sampler
        orders.append([])
        for epoch in range(3):
            sampler.set_epoch(epoch)
            orders[-1].append(list(sampler))
    assert orders[0] == orders[1] and orders[0][0] != orders[0][1]


def test_twice_in_one_epoch(tmp_path, unbroken):
    config, work = write_config(tmp_path, EMA), tmp_path / 'work'
    for step in (5, 6):
        train_until(Signal(step), config, resume=step > 5)
    make_runner(config, resume=True).train()
    assert_unbroken(work, unbroken)


def test_other_batch_size_begins_the_epoch_anew(tmp_path):
    config = write_config(tmp_path)
    train_until(Signal(6), config)
    runner = make_runner(config, resume=True, train_dataloader__batch_size=2)
    runner.train()
    text = ''.join(path.read_text() for path in (tmp_path / 'work').glob('*/*.log'))
    assert 'of batch 2 of 4 of an epoch, which has 8 batches now: the epoch starts again' in text
    assert runner.epoch == 3 and runner.iter == 6 + 2 * 8


def test_loading_the_weights_alone_skips_nothing(tmp_path):
    """And the signal's handler goes with the training."""
    train_until(Signal(6), write_config(tmp_path / 'first'))
    before = signal.getsignal(signal.SIGTERM)
    make_runner(write_config(tmp_path / 'second'),
                load_from=str(tmp_path / 'first/work/preempted.pth')).train()
    assert sorted(read_losses(tmp_path / 'second' / 'work')) == list(range(1, 13))
    assert signal.getsignal(signal.SIGTERM) == before


def test_parents_signal_is_no_failure_of_the_worker():
    """It ends workers that are there still when the process leaves, and DataLoader looks on."""
    here, there = multiprocessing.Pipe(duplex=False)
    worker = multiprocessing.get_context('fork').Process(target=_serve, args=(there, ))
    worker.start()
    assert here.recv() == 'ready'
    worker.terminate()
    worker.join(10)
    assert worker.exitcode == 0


def _serve(parent):
    _outlive_sigterm(None, 0)
    parent.send('ready')
    time.sleep(60)


def test_signal_to_the_whole_group(tmp_path):
    """As schedulers send it; with workers of the data loader, and the exit code that they see."""
    config, work = write_config(
        tmp_path, 'train_cfg = dict(max_epochs=500)\n'
        'train_dataloader = dict(num_workers=1, persistent_workers=True)'), tmp_path / 'work'
    script = Path(__file__).parents[1] / 'tiny_training.py'
    process = subprocess.Popen([sys.executable, script, config], start_new_session=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not ((work / 'losses.txt').exists() and len(read_losses(work)) > 5):
        assert process.poll() is None, process.communicate()[0][-3000:]
        time.sleep(.05)
    os.killpg(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 143, output[-3000:]
    step = max(read_losses(work))
    assert f'SIGTERM: step {step} is saved in {work / "preempted.pth"}; continue with' in output
    assert 'Traceback' not in output

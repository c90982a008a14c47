"""Kill a training with SIGKILL at random moments, resume it, and compare the loss curve.

    python tests/kill_and_resume.py FOLDER --kills 20 --seed 0

Every second kill comes while a checkpoint is written, the others after a random number of
steps, also during start-up. After each one every checkpoint must be readable.
"""
import argparse
import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
import torch
from tiny_training import make_runner, read_losses, write_config

from gaie_mmaction.policy import load_checkpoint_safely
from gaie_mmaction.utils.files import PARTIAL

MORE = """
train_cfg = dict(max_epochs={epochs}, val_interval={epochs})
param_scheduler = dict(T_max={epochs}, end={epochs})
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(max_keep_ckpts={keep}))
"""
STEPS = 4  # an epoch
SLOW = 600  # seconds until a process that does not go on counts as stuck


def _train(config):
    with open(config.with_name('log.txt'), 'a') as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        make_runner(config, resume=True).train()


def start(config):
    # forked, as the imports take longer than the training
    process = multiprocessing.get_context('fork').Process(target=_train, args=(config, ))
    process.start()
    return process


def finish(process, config):
    process.join(SLOW)
    if process.exitcode != 0:
        sys.exit(f'the training ended with {process.exitcode}, see {config.with_name("log.txt")}')


def wait(condition, process):
    start_time = time.monotonic()
    while not condition():
        if not process.is_alive() or time.monotonic() - start_time > SLOW:
            sys.exit(f'the training ended with {process.exitcode} before it was killed')
        time.sleep(.0002)


def freeze_while_writing(process, work, rng):
    partial = f'.epoch_*{PARTIAL}'
    while True:
        wait(lambda: any(work.glob(partial)), process)
        time.sleep(rng.uniform(0, .0005))
        os.kill(process.pid, signal.SIGSTOP)
        if any(work.glob(partial)):
            return
        os.kill(process.pid, signal.SIGCONT)  # too late: the next one


def num_lines(path):
    return path.read_bytes().count(b'\n') if path.exists() else 0


def check(work, keep):
    found = sorted(work.glob('*.pth'))
    for path in found:
        assert load_checkpoint_safely(str(path))['state_dict'], path
    # between a new checkpoint and the end of an outdated one there is one more
    assert len(found) <= keep + 1, found
    pointer = work / 'last_checkpoint'
    if pointer.exists():
        assert Path(pointer.read_text()) in found, pointer.read_text()


def main(folder, kills, seed, keep=1):
    torch.set_num_threads(1)
    # room for every attempt to make some epochs
    epochs = 3 * kills + 2
    more = MORE.format(epochs=epochs, keep=keep)
    unbroken = write_config(folder / 'unbroken', more)
    finish(start(unbroken), unbroken)
    config = write_config(folder / 'killed', more)
    work, rng, half_written = config.parent / 'work', random.Random(seed), 0
    for attempt in range(kills):
        process = start(config)
        if attempt % 2 == 0:
            freeze_while_writing(process, work, rng)
        else:
            goal = num_lines(work / 'losses.txt') + rng.randrange(2 * STEPS)
            wait(lambda goal=goal: num_lines(work / 'losses.txt') >= goal, process)
            time.sleep(rng.uniform(0, .05))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        half_written += any(work.glob(f'.epoch_*{PARTIAL}'))
        check(work, keep)
        pointer = work / 'last_checkpoint'
        print(f'kill {attempt + 1}: {"while writing" if attempt % 2 == 0 else "at random"}, '
              f'{num_lines(work / "losses.txt")} steps logged, resumes from '
              f'{Path(pointer.read_text()).name if pointer.exists() else "the start"}', flush=True)
    finish(start(config), config)
    check(work, keep)
    assert not list(work.glob(f'.*{PARTIAL}'))
    expected, found = (read_losses(path.parent / 'work') for path in (unbroken, config))
    assert sorted(found) == sorted(expected) == list(range(1, STEPS * epochs + 1))
    assert found == pytest.approx(expected, rel=1e-5)
    assert half_written >= (kills + 1) // 2
    print(f'{kills} kills, {half_written} of them left a half-written file; {len(found)} losses '
          'are those of the unbroken run')


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='for configs, logs and checkpoints; new')
    parser.add_argument('--kills', type=int, default=20)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    main(args.folder.resolve(), args.kills, args.seed)

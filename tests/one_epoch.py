"""A tiny drawn release, and one epoch of a config on it through mim, then the leaderboard file."""
import csv
import os
import subprocess
import sys
from pathlib import Path

import make_demo_release

ROOT = Path(__file__).parents[1]
MIM = str(Path(sys.executable).with_name('mim'))


def prepare_release(folder, train=1):
    """The release, drawn and prepared into ``folder``."""
    parts = dict(train=train, validate=1, test=1)
    make_demo_release.make_release(folder / 'release', 0, parts, 1, 1)
    subprocess.run([sys.executable, ROOT / 'tools/data/prepare_imigue.py', folder / 'release',
                    '--out', folder], check=True)


def run_mim(command, path, work, *arguments):
    """mim on the CPU, with one thread; returns what it printed."""
    result = subprocess.run(
        [MIM, command, 'mmaction', str(ROOT / path), '--gpus', '0', '--work-dir', str(work),
         *arguments],
        cwd=ROOT, env=dict(os.environ, OMP_NUM_THREADS='1'), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout + result.stderr


def train_and_test(path, data, work, batch_size, *options):
    """Trains for an epoch, validates and tests; checks that every test clip has its answer.

    Returns what the test printed.
    """
    options = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1', *options]
    for part in ('train', 'val', 'test'):
        loader = f'{part}_dataloader'
        options += [f'{loader}.dataset.data_root={data}', f'{loader}.batch_size={batch_size}',
                    f'{loader}.num_workers=0', f'{loader}.persistent_workers=False']
    output = run_mim('train', path, work, '--cfg-options', *options)
    assert 'Epoch(val) [1]' in output
    out = work / 'prediction.csv'
    output = run_mim('test', path, work, '--checkpoint', f'{work}/epoch_1.pth', '--cfg-options',
                     *options, f'test_evaluator.out_file={out}')
    rows = list(csv.DictReader(open(out)))
    expected = [line.split(',')[0] for line in (data / 'test.csv').read_text().splitlines()[1:]]
    assert expected and [row['Id'] for row in rows] == expected
    return output

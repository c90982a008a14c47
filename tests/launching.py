"""MMAction2's own scripts in processes of their own, as users start them."""
import os
import subprocess
import sys
from pathlib import Path

import mmcv
import pytest
from mmengine.utils import digit_version

from gaie_mmaction.compat import MMCV_REFUSED

ROOT = Path(__file__).parents[1]
# mim starts MMAction2 before this package can settle which mmcv is accepted
MIM_STARTS = digit_version(mmcv.__version__) < digit_version(MMCV_REFUSED)
needs_mim = pytest.mark.skipif(not MIM_STARTS,
                               reason=f'MMAction2 refuses mmcv {mmcv.__version__} in its own tools')


def train_command(config, *arguments, mim=True):
    """The command that trains on the CPU, by mim or by tools/."""
    start = (['-m', 'mim', 'train', 'mmaction', config, '--gpus', '0'] if mim and MIM_STARTS else
             [ROOT / 'tools/train.py', config])
    return [sys.executable, *map(str, (*start, *arguments))]


def test_command(config, checkpoint, *arguments, mim=True):
    """The command that tests on the CPU, by mim or by tools/."""
    start = (['-m', 'mim', 'test', 'mmaction', config, '--checkpoint', checkpoint, '--gpus', '0']
             if mim and MIM_STARTS else [ROOT / 'tools/test.py', config, checkpoint])
    return [sys.executable, *map(str, (*start, *arguments))]


test_command.__test__ = False


def run(command, folder):
    """Run a command with one thread in a folder; it finds the modules of the tests."""
    paths = [str(ROOT), str(ROOT / 'tests'), os.environ.get('PYTHONPATH', '')]
    return subprocess.run(command, cwd=folder, text=True, capture_output=True, env=dict(
        os.environ, OMP_NUM_THREADS='1', PYTHONPATH=os.pathsep.join(filter(None, paths))))


def launch(command, folder):
    """Run a command that must succeed; returns what it printed."""
    result = run(command, folder)
    assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]
    return result.stdout + result.stderr

"""What happens to trainings of many hours, in short."""
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_training import make_runner, read_losses, write_config


def test_killed_worker(tmp_path):
    """As the kernel does it when memory runs out; nothing hangs, nothing is lost."""
    config, work = write_config(tmp_path), tmp_path / 'work'
    make_runner(config, train_cfg__max_epochs=1).train()
    with pytest.raises(RuntimeError, match=r'DataLoader worker \(pid.*(killed by signal|exited)'):
        make_runner(config, resume=True, train_dataloader__num_workers=1,
                    train_dataloader__dataset__kills_worker=5).train()
    assert (work / 'last_checkpoint').read_text() == str(work / 'epoch_1.pth')
    make_runner(config, resume=True).train()
    assert sorted(read_losses(work)) == list(range(1, 13))


@pytest.mark.slow
def test_memory_does_not_grow(tmp_path):
    """2,000 iterations in a fresh process, with validation and checkpoints on the way."""
    config = write_config(tmp_path, 'train_cfg = dict(max_epochs=500, val_interval=50)\n'
                          'param_scheduler = dict(T_max=500, end=500)\n'
                          'default_hooks = dict(logger=dict(interval=50))')
    script = Path(__file__).with_name('tiny_training.py')
    result = subprocess.run([sys.executable, script, config], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    lines = (tmp_path / 'work' / 'losses.txt').read_text().splitlines()
    mib = [int(line.split()[-1]) * resource.getpagesize() / 2**20 for line in lines]
    assert len(mib) == 2000
    early, late = max(mib[400:500]), max(mib[1900:])
    # the log keeps about 200 bytes a step; a batch is 12 KiB, so a leak of each would be 18 MiB
    assert late - early < 6, (early, late)

"""What happens to trainings of many hours, in short."""
import os
import re
import resource
import runpy
import subprocess
import sys
from pathlib import Path

import mmaction
import pytest
from mmengine.config import Config
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


@pytest.mark.parametrize('code, resumes', [(0, False), (143, True), (1, True)])
def test_batch_script(tmp_path, root, code, resumes):
    """The script of docs/training.md, with a Slurm that only says what it was asked for."""
    text = (root / 'docs/training.md').read_text()
    script = re.search(r'```sh\n(#!/bin/bash\n.*?)```', text, re.S)[1]
    for name, status in (('srun', code), ('scontrol', 0)):
        command = tmp_path / 'bin' / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(f'#!/bin/sh\necho {name} "$@" >> calls\nexit {status}\n')
        command.chmod(0o755)
    if resumes:
        (tmp_path / 'work_dirs/run').mkdir(parents=True)
        (tmp_path / 'work_dirs/run/last_checkpoint').write_text('epoch_1.pth')
    path = os.pathsep.join([str(tmp_path / 'bin'), str(Path(sys.executable).parent),
                            os.environ['PATH']])
    result = subprocess.run(['bash', '-c', script], cwd=tmp_path, env=dict(
        os.environ, PATH=path, SLURM_CPUS_PER_TASK='6', SLURM_JOB_ID='17'))
    assert result.returncode == code
    srun, *others = (tmp_path / 'calls').read_text().splitlines()
    assert srun == ('srun --cpus-per-task=6 --kill-on-bad-exit=1 python -u tools/train.py CONFIG '
                    '--launcher slurm --work-dir work_dirs/run' + ' --resume' * resumes)
    assert others == ['scontrol requeue 17'] * (code == 143)


def test_resume_without_a_checkpoint_drops_load_from(tmp_path, monkeypatch):
    """Why that script asks first; once this fails, it need not."""
    tool = runpy.run_path(str(Path(mmaction.__file__).parent / '.mim/tools/train.py'))
    monkeypatch.setattr(sys, 'argv', ['train.py', 'config.py', '--resume'])
    cfg = Config(dict(load_from='zoo.pth', work_dir='work'))
    merged = tool['merge_args'](cfg, tool['parse_args']())
    assert merged.resume is True and merged.load_from is None


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

"""Each arm is trained once, and goes on where it was stopped."""
import subprocess
from pathlib import Path

import pytest

from gaie_mmaction.benchmark import ablation, run_arm


class Mim:
    """In the place of the processes: leaves what a training leaves."""

    def __init__(self, epochs=12, status=0):
        self.epochs, self.status, self.commands, self.tests = epochs, status, [], []

    def train(self, command, env):
        self.commands.append(command)
        folder = Path(command[command.index('--work-dir') + 1])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'last_checkpoint').write_text(f'{folder}/epoch_{self.epochs}.pth')
        return subprocess.CompletedProcess(command, self.status)

    def test(self, cfg, checkpoint, work_dir):
        self.tests.append(checkpoint)
        return {'acc/top1': .5, 'acc/top5': .75, 'acc/mean1': .25}


@pytest.fixture
def arm(root, tmp_path, monkeypatch):
    """A config that can be changed, and a way to run it."""
    config = tmp_path / 'arm.py'
    config.write_text(f"_base_ = '{root}/configs/ablation/gaie_demo_prune.py'\n")

    def run(mim, on_gpu=False):
        monkeypatch.setattr(ablation.subprocess, 'run', mim.train)
        monkeypatch.setattr(ablation, 'measure_accuracy', mim.test)
        return run_arm(str(config), tmp_path / 'work', on_gpu)

    return run


@pytest.mark.parametrize('on_gpu', [False, True])
def test_runs_once(arm, tmp_path, on_gpu):
    first, second = Mim(), Mim()
    expected = f'{tmp_path}/work/epoch_12.pth', {'acc/top1': .5, 'acc/top5': .75, 'acc/mean1': .25}
    assert arm(first, on_gpu) == expected
    command, = first.commands
    assert command[1:] == ['-m', 'mim', 'train', 'mmaction', f'{tmp_path}/arm.py', '--gpus',
                           str(int(on_gpu)), '--work-dir', f'{tmp_path}/work', '--resume']
    assert first.tests == [expected[0]]
    assert arm(second, on_gpu) == expected
    assert second.commands == second.tests == []


def test_goes_on_after_a_failure(arm):
    broken, whole = Mim(epochs=6, status=1), Mim()
    with pytest.raises(ChildProcessError, match='arm.py failed.*goes on from its last checkpoint'):
        arm(broken)
    assert broken.tests == []
    arm(whole)
    assert len(whole.commands) == len(whole.tests) == 1


def test_trained_but_not_tested(arm):
    class Full(Mim):

        def test(self, *_):
            raise OSError('no space left')

    with pytest.raises(OSError):
        arm(Full())
    again = Mim()
    arm(again)
    assert again.commands == [] and len(again.tests) == 1


def test_another_state_of_the_config(arm, tmp_path):
    arm(Mim())
    with open(tmp_path / 'arm.py', 'a') as file:
        file.write('train_cfg = dict(max_epochs=13)\n')
    mim = Mim()
    with pytest.raises(ValueError, match='another state of .*arm.py: move the folder away'):
        arm(mim)
    assert mim.commands == []

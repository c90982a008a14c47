"""Trainings and tests in processes of their own: what they are told, and where they begin."""
import os
import subprocess
from pathlib import Path

import pytest
import torch
from launching import needs_mim
from tiny_training import make_runner, read_losses, write_config

from gaie_mmaction.apis import training


class Child:
    """Replaces ``subprocess.run``: notes what a child would get, and leaves a checkpoint."""

    def __init__(self, status=0):
        self.status = status

    def __call__(self, command, env):
        self.arguments, self.environment = command[1:], env
        if '--work-dir' in command and not self.status:
            folder = Path(command[command.index('--work-dir') + 1])
            folder.mkdir(parents=True, exist_ok=True)
            (folder / 'last_checkpoint').write_text(f'{folder}/epoch_1.pth\n')
        return subprocess.CompletedProcess(command, self.status)


def test_tool(tmp_path, capfd):
    """Its output is the terminal's; a failure is an error that names it."""
    tool = tmp_path / 'tool.py'
    tool.write_text('import sys; print(sys.argv[1:]); sys.exit(int(sys.argv[1]))')
    training.run_tool(str(tool), '0')
    assert capfd.readouterr().out == f"$ python {tool} 0\n['0']\n"
    with pytest.raises(ChildProcessError, match=f'^{tool} failed; see'):
        training.run_tool(str(tool), '3')


@pytest.fixture
def child(monkeypatch):
    child = Child()
    monkeypatch.setattr(training.subprocess, 'run', child)
    return child


def test_resumes_only_from_a_checkpoint(child, tmp_path):
    work = tmp_path / 'work'
    command = ['-m', 'mim', 'train', 'mmaction', 'a.py', '--gpus', '0', '--work-dir', str(work)]
    assert training.train('a.py', work, resume=True) == work / 'epoch_1.pth'
    assert child.arguments == command  # --resume would drop load_from
    training.train('a.py', work, resume=True)
    assert child.arguments == [*command, '--resume']
    training.train('a.py', work, options=['a=1', 'b=2'])
    assert child.arguments == [*command, '--cfg-options', 'a=1', 'b=2']


def test_several_gpus(child, tmp_path, monkeypatch):
    """All that are visible, by the launcher; a test has one."""
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '4,5')
    training.train('a.py', tmp_path, device='cuda', gpus=2)
    assert child.arguments[4:] == ['a.py', '--gpus', '2', '--work-dir', str(tmp_path),
                                   '--launcher', 'pytorch']
    assert child.environment['CUDA_VISIBLE_DEVICES'] == '4,5'


@pytest.mark.parametrize('device, visible, gpus, seen', [
    ('cpu', '4,5', '0', ''), ('cuda', None, '1', '0'), ('cuda:1', None, '1', '1'),
    ('cuda:1', '4,5', '1', '5'), ('cuda', 'GPU-abc', '1', 'GPU-abc')])
def test_the_child_sees_the_device_alone(child, tmp_path, monkeypatch, device, visible, gpus, seen):
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    if visible:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', visible)
    monkeypatch.setattr(training.os, 'cpu_count', lambda: 6)  # the other half is the loaders'
    training.train('a.py', tmp_path, device=device)
    assert child.environment['CUDA_VISIBLE_DEVICES'] == seen
    assert child.environment['OMP_NUM_THREADS'] == '3'
    training.test('a.py', 'a.pth', tmp_path, device=device, dump='a.pkl')
    assert child.environment['CUDA_VISIBLE_DEVICES'] == seen
    assert child.arguments == ['-m', 'mim', 'test', 'mmaction', 'a.py', '--gpus', gpus,
                               '--checkpoint', 'a.pth', '--work-dir', str(tmp_path), '--dump',
                               'a.pkl']


def test_a_device_that_is_hidden(monkeypatch):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '4,5')
    with pytest.raises(ValueError, match='cuda:2 is not among CUDA_VISIBLE_DEVICES=4,5'):
        training.device_environment('cuda:2')
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')  # as a scheduler hides all of them
    with pytest.raises(ValueError, match='cuda is not among CUDA_VISIBLE_DEVICES=$'):
        training.device_environment('cuda')


def test_failures(tmp_path, monkeypatch):
    monkeypatch.setattr(training.subprocess, 'run', Child(1))
    with pytest.raises(ChildProcessError, match='mim test failed for a.py; see the messages above'):
        training.test('a.py', 'a.pth', tmp_path)
    monkeypatch.setattr(training.subprocess, 'run', lambda command, env: Child()([], env))
    with pytest.raises(ChildProcessError, match='left no checkpoint'):
        training.train('a.py', tmp_path)


@needs_mim
@pytest.mark.slow
def test_the_first_training_begins_with_load_from(tmp_path, monkeypatch):
    """Its first loss is that of the loaded weights, although it may resume."""
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join((str(Path(__file__).parents[1]),
                                                      str(Path(__file__).parents[2]))))
    losses = {}
    source = tmp_path / 'source.pth'
    config = write_config(tmp_path / 'fresh')
    runner = make_runner(config)
    torch.nn.init.normal_(runner.model.cls_head.fc_cls.weight, std=5.)
    torch.save(dict(state_dict=runner.model.state_dict()), source)
    for name, load_from in (('fresh', None), ('loaded', str(source))):
        config = write_config(tmp_path / name, 'train_cfg = dict(max_epochs=1)\n')
        make_runner(config, load_from=load_from).train()
        losses[name] = read_losses(tmp_path / name / 'work')[1]
    config = write_config(tmp_path / 'child', f'train_cfg = dict(max_epochs=1)\n'
                          f'load_from = {str(source)!r}\n')
    checkpoint = training.train(config, tmp_path / 'child' / 'work', resume=True)
    first = read_losses(tmp_path / 'child' / 'work')[1]
    assert first == pytest.approx(losses['loaded'], rel=1e-4)
    assert abs(first - losses['fresh']) > .5
    assert checkpoint == tmp_path / 'child' / 'work' / 'epoch_1.pth'

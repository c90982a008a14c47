"""What the package changes in mmengine by choice, and that each can be switched off."""
import os
import pickle
import subprocess
import sys

import pytest
import torch
from mmengine.runner.checkpoint import CheckpointLoader
from test_compat import mmengine_checkpoint

from gaie_mmaction import policy


class Attack:
    """Runs a command when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('name', ['system', 'getattr', 'eval'])
def test_code_in_a_checkpoint_is_refused(tmp_path, name):
    marker, path = tmp_path / 'attacked', str(tmp_path / 'bad.pth')
    attack = dict(
        system=Attack(os.system, f'touch {marker}'),
        getattr=Attack(getattr, 'text', 'upper'),
        eval=Attack(eval, f"open({str(marker)!r}, 'w')"))[name]
    torch.save(dict(state_dict={}, meta=attack), path)
    with pytest.raises(RuntimeError, match=f'{path} is refused and nothing of it was run'):
        CheckpointLoader.load_checkpoint(path)
    assert not marker.exists()


def test_attack_would_work_without_the_workaround(tmp_path):
    """So that the test above can fail."""
    marker = tmp_path / 'attacked'
    pickle.loads(pickle.dumps(Attack(os.system, f'touch {marker}')))
    assert marker.exists()


@pytest.mark.parametrize('content', [
    b'<!DOCTYPE html>', b'version https://git-lfs.github.com/spec/v1'])
def test_something_else_saved_as_a_checkpoint(tmp_path, content):
    (tmp_path / 'weights.pth').write_bytes(content)
    with pytest.raises(RuntimeError, match='weights.pth is no checkpoint: it begins with b.'
                                           + content.decode()[:15]):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'weights.pth'))


def test_damaged_checkpoint(tmp_path):
    path = tmp_path / 'cut.pth'
    torch.save(mmengine_checkpoint(), path)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(RuntimeError, match=r'cut.pth \(600 bytes\) cannot be read'):
        CheckpointLoader.load_checkpoint(str(path))
    with pytest.raises(FileNotFoundError, match='absent.pth'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'absent.pth'))


def test_scores_are_dumped_first(tmp_path):
    from mmengine.evaluator import BaseMetric, DumpResults, Evaluator

    class Refuses(BaseMetric):

        def process(self, data_batch, data_samples):
            self.results += data_samples

        def compute_metrics(self, results):
            raise ValueError('refused')

    def is_dumped(init, path):
        evaluator = Evaluator.__new__(Evaluator)
        init(evaluator, [Refuses(), DumpResults(str(path))])
        evaluator.process([dict(clip_id='0001_0')])
        with pytest.raises(ValueError, match='refused'):
            evaluator.evaluate(1)
        return path.exists()

    assert is_dumped(Evaluator.__init__, tmp_path / 'ours.pkl')
    assert not is_dumped(Evaluator.__init__.__wrapped__, tmp_path / 'theirs.pkl')  # still needed


SWITCHES = """
import gaie_mmaction
from mmengine.evaluator import Evaluator
from mmengine.fileio import LocalBackend
from mmengine.runner.checkpoint import CheckpointLoader
loaders = CheckpointLoader._schemes
print(*(function.__module__.startswith('gaie_mmaction')
        for function in (loaders['https://'], LocalBackend.put, Evaluator.__init__)))
"""


@pytest.mark.parametrize('off, expected', [
    ('safe_loading, dump_first', 'False True False'),
    pytest.param('whole_files', 'True False True', marks=pytest.mark.slow),
    pytest.param('', 'True True True', marks=pytest.mark.slow)])
def test_switches(off, expected):
    result = subprocess.run([sys.executable, '-c', SWITCHES], capture_output=True, text=True,
                            env=dict(os.environ, GAIE_MMACTION_OFF=off))
    assert result.stdout.strip() == expected, result.stderr


def test_unknown_switch(monkeypatch):
    monkeypatch.setenv(policy.SWITCH, 'dump_first,everything')
    with pytest.raises(ValueError, match='GAIE_MMACTION_OFF names everything, but the policies are '
                                         'safe_loading, whole_files, dump_first'):
        policy.apply()

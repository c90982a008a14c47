"""What the package changes in mmengine by choice, and that each can be switched off."""
import os
import pickle
import subprocess
import sys
import zipfile
from urllib.error import URLError

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
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


class Formed:
    """Something whose pickled form is given: a callable, its arguments, and a state."""

    def __init__(self, *form):
        self.form = form

    def __reduce__(self):
        return self.form


def address_of(thing):
    return id(thing).to_bytes(8, 'little')


def history(**state):
    """A log buffer in any state."""
    buffer = HistoryBuffer()
    buffer.__dict__ = dict(
        dict(_log_history=np.zeros(2), _count_history=np.ones(2), max_length=9), **state)
    return buffer


NUMBER = np.zeros(1).__reduce__()[:2]


@pytest.mark.parametrize('form', [
    (np.ndarray, ((1, ), 'O', address_of(os.system))),
    (np.ndarray, ((1, ), 'f8', bytes(8))),
    (*NUMBER, (1, (1, ), np.dtype('O'), False, [os.getcwd])),
    (*NUMBER, (1, (1, ), np.dtype('O'), False, address_of(os.system))),
    (*NUMBER, (1, (1000, ), np.dtype('f8'), False, bytes(8))),
    (*NUMBER, (1, (-1, ), np.dtype('f8'), False, bytes(8))),
    (np.dtype, ('O8', False, True)),
    (np.dtype, ('V8', False, True), (3, '|', None, ('a', ), {'a': (np.dtype('i8'), 0)}, 8, 1, 27)),
    (np.dtype, ('i8', False, True), (3, '|', None, ('a', ), {'a': (np.dtype('i8'), 0)}, 8, 1, 27)),
    (np.float64(1).__reduce__()[0], (np.dtype('O'), address_of(os.system))),
    (HistoryBuffer, ([[1]] * 9, [1] * 9)),
])
def test_nothing_but_plain_numbers_becomes_an_array(tmp_path, form):
    """NumPy takes the bytes of an array of objects for addresses."""
    path = str(tmp_path / 'bad.pth')
    torch.save(dict(state_dict={}, meta=Formed(*form)), path, pickle_protocol=2)
    with pytest.raises(RuntimeError, match='refused and nothing of it was run: it (holds|calls) '):
        CheckpointLoader.load_checkpoint(path)


@pytest.mark.parametrize('state', [
    dict(_log_history=[1, 2]), dict(_count_history=np.ones((2, 2))), dict(max_length='9'),
    dict(_log_history=np.array(['a']))])
def test_a_log_buffer_holds_numbers(tmp_path, state):
    path = str(tmp_path / 'bad.pth')
    torch.save(dict(log=history(**state)), path)
    with pytest.raises(RuntimeError, match='it holds a log buffer of something else than numbers'):
        CheckpointLoader.load_checkpoint(path)


def test_functions_of_a_log_buffer_are_mmengines_own(tmp_path):
    """mmengine would take them from the file, for every buffer of the process."""
    evil = dict(mean=HistoryBuffer.min, other=HistoryBuffer.max)
    path = str(tmp_path / 'log.pth')
    torch.save(dict(log=history(_statistics_methods=evil)), path)
    log = CheckpointLoader.load_checkpoint(path)['log']
    assert type(log) is HistoryBuffer and type(log.data[0]) is np.ndarray
    assert log.statistics('mean') == 0
    assert HistoryBuffer._statistics_methods['mean'] is HistoryBuffer.mean
    assert 'other' not in HistoryBuffer._statistics_methods


def test_arrays_are_saved_again_as_plain_ones(tmp_path):
    """So that a checkpoint that was loaded and saved can be read without this package."""
    colours = np.arange(6, dtype=np.uint8).reshape(2, 3)
    torch.save(dict(meta=dict(colours=colours)), tmp_path / 'a.pth')
    loaded = CheckpointLoader.load_checkpoint(str(tmp_path / 'a.pth'))
    np.testing.assert_array_equal(loaded['meta']['colours'], colours)
    text = pickle.dumps(loaded)
    assert b'gaie_mmaction' not in text
    assert type(pickle.loads(text)['meta']['colours']) is np.ndarray


def test_a_record_that_grows_on_reading_is_refused(tmp_path):
    torch.save(dict(state_dict=dict(weight=torch.zeros(1000, 1000))), tmp_path / 'a.pth')
    with zipfile.ZipFile(tmp_path / 'a.pth') as whole, \
            zipfile.ZipFile(tmp_path / 'bomb.pth', 'w', zipfile.ZIP_DEFLATED) as small:
        for record in whole.infolist():
            small.writestr(record.filename, whole.read(record))
    assert (tmp_path / 'bomb.pth').stat().st_size < 50_000
    with pytest.raises(RuntimeError, match='bomb.pth is refused .* would take 40.* bytes'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'bomb.pth'))


def test_what_is_not_damage_is_not_called_so(tmp_path, monkeypatch):
    torch.save({}, tmp_path / 'a.pth')

    def fail(error):
        def load(*_, **__):
            raise error
        monkeypatch.setattr(torch, 'load', load)
        return str(tmp_path / 'a.pth')

    with pytest.raises(torch.OutOfMemoryError, match='^CUDA out of memory'):
        policy.load_checkpoint_safely(fail(torch.OutOfMemoryError('CUDA out of memory')))
    text = 'Attempting to deserialize object on CUDA, but torch.cuda.is_available() is False.'
    with pytest.raises(RuntimeError, match="a.pth holds tensors of a GPU.*map_location='cpu'"):
        policy.load_checkpoint_safely(fail(RuntimeError(text)))
    for error in (IndexError('pop'), TypeError('x'), AssertionError(), SystemError('y')):
        with pytest.raises(RuntimeError, match='a.pth .* cannot be read'):
            policy.load_checkpoint_safely(fail(error))


def test_each_node_downloads_for_itself(tmp_path, monkeypatch):
    """Whatever its rank; and a failure is an error in each process, with nobody waiting."""
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setattr('mmengine.dist.get_dist_info', lambda: (3, 8))
    calls = []

    def download(address, path):
        calls.append(address)
        torch.save(dict(state_dict={}), path)

    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    address = 'https://example.com/weights.pth'
    for _ in range(2):
        assert CheckpointLoader.load_checkpoint(address) == dict(state_dict={})
    assert calls == [address]

    def fail(*_):
        raise URLError('unreachable')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', fail)
    with pytest.raises(RuntimeError, match='other.pth cannot be downloaded .*unreachable'):
        CheckpointLoader.load_checkpoint('https://example.com/other.pth')


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
        for function in (loaders['https://'], LocalBackend.put)),
      hasattr(Evaluator.__init__, '__wrapped__'))
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

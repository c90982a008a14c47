"""What the package changes in mmengine by choice, and that each can be switched off.

Code and odd arrays in a checkpoint: test_safe_pickle.py.
"""
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from unittest.mock import Mock
from urllib.error import URLError

import numpy as np
import pytest
import torch
from hostile import ARRAY, Formed
from launching import run, train_command
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader
from test_compat import mmengine_checkpoint
from tiny_training import write_config

from gaie_mmaction import policy

UNREACHABLE = Mock(side_effect=URLError('unreachable'))


def history(**state):
    """A log buffer in any state."""
    buffer = HistoryBuffer()
    buffer.__dict__ = dict(
        dict(_log_history=np.zeros(2), _count_history=np.ones(2), max_length=9), **state)
    return buffer


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


def test_a_record_that_grows_on_reading_is_refused(tmp_path):
    torch.save(dict(state_dict=dict(weight=torch.zeros(1000, 1000))), tmp_path / 'a.pth')
    with zipfile.ZipFile(tmp_path / 'a.pth') as whole, \
            zipfile.ZipFile(tmp_path / 'bomb.pth', 'w', zipfile.ZIP_DEFLATED) as small:
        for record in whole.infolist():
            small.writestr(record.filename, whole.read(record))
    assert (tmp_path / 'bomb.pth').stat().st_size < 50_000
    with pytest.raises(RuntimeError, match='bomb.pth is refused .* would take 40.* bytes'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'bomb.pth'))


def test_bytes_that_are_named_a_thousand_times(tmp_path):
    """One text of 20 KB in the file, and a thousand arrays of it."""
    state = (1, (20_000, ), np.dtype('u1'), False, bytes(20_000))
    arrays = [Formed(*ARRAY, state) for _ in range(1000)]
    torch.save(dict(meta=arrays), tmp_path / 'bomb.pth', pickle_protocol=2)
    assert (tmp_path / 'bomb.pth').stat().st_size < 120_000
    with pytest.raises(RuntimeError, match='take more than 4 times its size, the limit .*MAX_GROW'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'bomb.pth'))


def test_colours_of_mmpose(tmp_path):
    """Its checkpoints hold arrays of uint8 in ``dataset_meta``."""
    colours = np.arange(6, dtype=np.uint8).reshape(2, 3)
    for options in (dict(), dict(_use_new_zipfile_serialization=False)):
        torch.save(dict(meta=dict(dataset_meta=dict(colours=colours))), tmp_path / 'a.pth',
                   **options)
        loaded = CheckpointLoader.load_checkpoint(str(tmp_path / 'a.pth'))
        np.testing.assert_array_equal(loaded['meta']['dataset_meta']['colours'], colours)
    text = pickle.dumps(loaded)  # saved again, the file can be read without this package
    assert b'gaie_mmaction' not in text
    assert type(pickle.loads(text)['meta']['dataset_meta']['colours']) is np.ndarray


@pytest.mark.parametrize('value, reason', [
    (np.array(['2020-01-01'], dtype='M8[D]'), "it holds a NumPy array of dtype 'M8'"),
    (np.array([None]), "it holds a NumPy array of dtype 'O8'"),
    (Path('a'), 'it holds pathlib.PosixPath'),
])
def test_refusal_names_the_type_and_the_way_out(tmp_path, monkeypatch, value, reason):
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')  # which has no effect
    path, new = tmp_path / 'a.pth', tmp_path / 'new.pth'
    torch.save(dict(state_dict=dict(weight=torch.ones(2)), meta=value), path)
    with pytest.raises(RuntimeError) as error:
        CheckpointLoader.load_checkpoint(str(path))
    message = str(error.value)
    for part in (reason, 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD has no effect', 'add_safe_globals'):
        assert part in message
    lines = [line.strip() for line in message.splitlines() if line.startswith('  ')]
    assert len(lines) == 2
    exec('\n'.join(lines), dict(torch=torch, NEW_PATH=new))
    assert CheckpointLoader.load_checkpoint(str(new))['state_dict']['weight'].sum() == 2


def test_what_is_not_damage_is_not_called_so(tmp_path, monkeypatch):
    torch.save({}, tmp_path / 'a.pth')

    def fail(error):
        monkeypatch.setattr(torch, 'load', Mock(side_effect=error))
        return str(tmp_path / 'a.pth')

    with pytest.raises(torch.OutOfMemoryError, match='^CUDA out of memory'):
        policy.load_checkpoint_safely(fail(torch.OutOfMemoryError('CUDA out of memory')))
    text = 'Attempting to deserialize object on CUDA, but torch.cuda.is_available() is False.'
    with pytest.raises(RuntimeError, match="a.pth holds CUDA tensors.*map_location='cpu'"):
        policy.load_checkpoint_safely(fail(RuntimeError(text)))


def test_each_node_downloads_for_itself(tmp_path, monkeypatch):
    """Whatever its rank; and a failure is an error in each process, with nobody waiting."""
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setattr('mmengine.dist.get_dist_info', lambda: (3, 8))
    fetch = Mock(side_effect=lambda address, path: torch.save(dict(state_dict={}), path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', fetch)
    for _ in range(2):
        assert CheckpointLoader.load_checkpoint('https://example.com/a.pth') == dict(state_dict={})
    assert fetch.call_count == 1
    monkeypatch.setattr(torch.hub, 'download_url_to_file', UNREACHABLE)
    with pytest.raises(RuntimeError, match='other.pth cannot be downloaded .*unreachable.* copy it '
                                           f'to {tmp_path}/checkpoints/other.pth'):
        CheckpointLoader.load_checkpoint('https://example.com/other.pth')


def test_everything_that_is_missing_is_said_at_once(tmp_path, root, monkeypatch):
    """Before anything is built: nobody waits for one error after the other."""
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', UNREACHABLE)
    monkeypatch.chdir(tmp_path)  # there is no data/imigue
    cfg = Config.fromfile(root / 'configs/gaie_vitb_imigue.py')
    cfg.load_from = 'absent.pth'
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    monkeypatch.setattr(policy, 'get_device', lambda: 'cpu')
    problems = policy.find_problems(cfg, training=True)
    expected = [
        'train_dataloader: annotation file data/imigue/trainval.csv does not exist: make it with',
        'val_dataloader: annotation file data/imigue/val.csv does not exist',
        '--amp (AmpOptimWrapper) needs a GPU, and none is visible: leave it out',
        'load_from: absent.pth does not exist',
        'model.backbone.pretrained: https://download.openmmlab.com/']
    assert len(problems) == len(expected)
    for problem, start in zip(problems, expected):
        assert problem.startswith(start)
    assert 'cannot be downloaded (<urlopen error unreachable>)' in problems[-1]
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=2,
                                        dataset=cfg.train_dataloader.dataset)
    assert policy.find_problems(cfg, training=True)[0].startswith(expected[0])
    assert [line[:30] for line in policy.find_problems(cfg, training=False)] == [
        'test_dataloader: annotation fi', 'load_from: absent.pth does not']


def test_last_line_says_what_was_wrong(tmp_path):
    """The traceback is in the log file; mim prints its own, to which nothing can be done."""
    config = write_config(tmp_path, "load_from = 'absent.pth'")
    result = run(train_command(config, mim=False), tmp_path)
    *_, place, one, two = result.stderr.splitlines()
    assert result.returncode == 1 and 'Traceback' not in result.stderr
    assert (one, two) == ('RuntimeError: nothing was run:',
                          '  load_from: absent.pth does not exist')
    log = Path(place.removeprefix('the traceback is in '))
    assert log.suffix == '.log' and 'Traceback (most recent call last)' in log.read_text()


@pytest.mark.parametrize('content', [
    b'<!DOCTYPE html>', b'version https://git-lfs.github.com/spec/v1'])
def test_something_else_saved_as_a_checkpoint(tmp_path, content):
    (tmp_path / 'weights.pth').write_bytes(content)
    with pytest.raises(RuntimeError, match='weights.pth is not a checkpoint: it begins with b.'
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
                                         'safe_loading, whole_files, dump_first, check_first'):
        policy.apply()

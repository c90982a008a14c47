"""There is always a whole checkpoint, and --resume takes it."""
import errno
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import pytest
from evaluating import full_disk
from mmengine.fileio import LocalBackend
from mmengine.runner import Runner
from tiny_training import make_runner, read_losses, write_config

from gaie_mmaction.hooks import checkpoint
from gaie_mmaction.policy import load_checkpoint_safely
from gaie_mmaction.utils.files import FolderInUseError

KEEP_ONE = 'default_hooks = dict(checkpoint=dict(max_keep_ckpts=1))'


SCRIPTS = Path(__file__).parents[1]


def train(config, **options):
    make_runner(config, **options).train()


def checkpoints(work):
    return [path.name for path in work.glob('*.pth*')]


def test_full_disk(tmp_path):
    """Also with one checkpoint kept, which mmengine deletes first."""
    train(write_config(tmp_path / 'unbroken', KEEP_ONE))
    config, work = write_config(tmp_path / 'full', KEEP_ONE), tmp_path / 'full' / 'work'
    train(config, train_cfg__max_epochs=2)
    assert checkpoints(work) == ['epoch_2.pth']
    before = (work / 'epoch_2.pth').read_bytes()
    with full_disk(60_000), pytest.raises(OSError, match='nothing half-written is left') as error:
        train(config, resume=True)
    assert error.value.filename == str(work / 'epoch_3.pth')
    assert error.value.errno == errno.EFBIG
    assert checkpoints(work) == ['epoch_2.pth']
    assert not list(work.glob('.*.partial'))
    assert (work / 'epoch_2.pth').read_bytes() == before
    assert (work / 'last_checkpoint').read_text() == str(work / 'epoch_2.pth')
    train(config, resume=True)
    assert checkpoints(work) == ['epoch_3.pth']
    assert read_losses(work) == pytest.approx(read_losses(tmp_path / 'unbroken' / 'work'))


def test_no_room_on_the_device(tmp_path, monkeypatch):
    """ENOSPC keeps its number and name, for whoever looks at them."""
    error = OSError(errno.ENOSPC, 'No space left')
    monkeypatch.setattr(Path, 'write_bytes', Mock(side_effect=error))
    with pytest.raises(OSError, match='7 bytes cannot be written .No space left') as error:
        LocalBackend().put(b'content', str(tmp_path / 'a.pth'))
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(tmp_path / 'a.pth'))
    assert not list(tmp_path.iterdir())


def test_order(tmp_path, monkeypatch):
    """Whole file, then pointer, then deletion; best checkpoints are whole, too."""
    steps = []
    put, remove = LocalBackend.put, LocalBackend.remove

    def note(name, original):
        def wrapped(self, *args):
            path = Path(args[-1])
            pointer = path.parent / 'last_checkpoint'
            named = Path(pointer.read_text()).name if pointer.exists() else None
            steps.append((name, path.name, named))
            if path.suffix == '.pth' and named is not None:
                assert load_checkpoint_safely(str(path.parent / named))['state_dict']
            return original(self, *args)
        return wrapped

    monkeypatch.setattr(LocalBackend, 'put', note('put', put))
    monkeypatch.setattr(LocalBackend, 'remove', note('remove', remove))
    train(write_config(tmp_path, KEEP_ONE), train_cfg__max_epochs=3)
    assert [step for step in steps if step[1].endswith('.pth')] == [
        ('put', 'epoch_1.pth', None), ('put', 'epoch_2.pth', 'epoch_1.pth'),
        ('remove', 'epoch_1.pth', 'epoch_2.pth'), ('put', 'epoch_3.pth', 'epoch_2.pth'),
        ('remove', 'epoch_2.pth', 'epoch_3.pth')]


def test_second_training_in_a_folder_is_refused(tmp_path, monkeypatch):
    """Both would write the same checkpoints."""
    config = write_config(tmp_path, 'train_cfg = dict(max_epochs=500)')
    work = tmp_path / 'work'
    first = subprocess.Popen([sys.executable, SCRIPTS / 'tiny_training.py', config],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (work / 'losses.txt').exists():
            assert first.poll() is None
            time.sleep(.05)
        monkeypatch.setattr(checkpoint, 'LOCK_TIMEOUT', .1)
        with pytest.raises(FolderInUseError, match=f'another process writes into {work} and holds'):
            train(config, train_cfg__max_epochs=1)
    finally:
        first.kill()
        first.wait()
    train(config, train_cfg__max_epochs=1)
    assert (work / 'epoch_1.pth').is_file()


def test_sharded_checkpoints_and_leftovers_are_deleted(tmp_path, monkeypatch):
    """Strategies that shard save a folder under a checkpoint's name; and so is what a kill left."""

    def save(runner, out_dir, filename, *_, **__):
        (Path(out_dir) / filename / 'shards').mkdir(parents=True)

    monkeypatch.setattr(Runner, 'save_checkpoint', save)
    config, work = write_config(tmp_path, KEEP_ONE), tmp_path / 'work'
    work.mkdir()
    (work / '.epoch_1.pth.abc.partial').write_bytes(b'half')
    train(config)
    assert checkpoints(work) == ['epoch_3.pth'] and not list(work.glob('.*.partial'))


@pytest.mark.slow
def test_sigkill(tmp_path, kills=20):
    """In a process of its own: a fork of this one could hang in the threads of autograd."""
    result = subprocess.run([sys.executable, SCRIPTS / 'kill_and_resume.py', tmp_path, '--kills',
                             str(kills)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr[-3000:]
    assert f'{(3 * kills + 2) * 4} losses are those of the unbroken run' in result.stdout


def test_mmengine_still_writes_into_the_final_place(tmp_path):
    """Otherwise the workaround can go; a fresh process has none yet."""
    code = ("import resource; from mmengine.fileio import LocalBackend\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))\n"
            f"try: LocalBackend().put(bytes(99), {str(tmp_path / 'a')!r})\n"
            "except OSError: pass\n")
    subprocess.run([sys.executable, '-c', code], check=True)
    assert (tmp_path / 'a').stat().st_size == 50

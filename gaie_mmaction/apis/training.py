"""Train and test configs through MMAction2's own scripts, as ``mim`` starts them."""
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

console = Console()


def last_checkpoint(work_dir: str | Path) -> Path | None:
    """Path of the checkpoint that ``--resume`` takes; None if there is none yet."""
    pointer = Path(work_dir) / 'last_checkpoint'
    return Path(pointer.read_text(encoding='utf-8').strip()) if pointer.exists() else None


def train(config: str | Path, work_dir: str | Path, *, device: str = 'cpu', gpus: int = 1,
          resume: bool = False, options: Sequence[str] = ()) -> Path:
    """Train a config in a process of its own; returns the last checkpoint.

    Args:
        config, work_dir (str or Path): The config, and the folder of logs and checkpoints.
        device (str): ``'cpu'``, ``'cuda'`` or ``'cuda:N'``. Defaults to ``'cpu'``.
        gpus (int): Number of GPUs; several start by ``--launcher pytorch``, with ``device='cuda'``.
            Defaults to 1.
        resume (bool): Continue from the last checkpoint in ``work_dir``, if any. Defaults to False.
        options (Sequence[str]): ``KEY=VALUE`` changes of the config. Defaults to ().

    A training that fails is a ``ChildProcessError``.
    """
    arguments = ['--work-dir', str(work_dir)]
    # MMAction2 drops load_from on --resume, also where it finds no checkpoint to resume from
    if resume and last_checkpoint(work_dir):
        arguments.append('--resume')
    if gpus > 1:
        arguments += ['--launcher', 'pytorch']
    _run_mim('train', config, arguments, device, options, gpus)
    checkpoint = last_checkpoint(work_dir)
    if checkpoint is None:
        raise ChildProcessError(f'the training of {config} left no checkpoint in {work_dir}: '
                                'default_hooks.checkpoint of the config must save the last epoch')
    return checkpoint


def test(config: str | Path, checkpoint: str | Path, work_dir: str | Path, *, device: str = 'cpu',
         options: Sequence[str] = (), dump: str | Path | None = None) -> None:
    """Test a checkpoint in a process of its own; arguments and errors as for :func:`train`.

    ``dump`` is the path of a pickle for the scores.
    """
    arguments = ['--checkpoint', str(checkpoint), '--work-dir', str(work_dir)]
    _run_mim('test', config, arguments + (['--dump', str(dump)] if dump else []), device, options)


test.__test__ = False  # type: ignore[attr-defined]  # not pytest's


def run_tool(*command: str) -> None:
    """Run ``python COMMAND`` with its output on the terminal; ``ChildProcessError`` if it fails."""
    console.print('$ python ' + ' '.join(command), highlight=False, soft_wrap=True)
    if subprocess.run([sys.executable, *command]).returncode:
        raise ChildProcessError(f'{command[0]} failed; see the messages above')


def run_demo(main: Callable[[], None], script: str) -> None:
    """Run a demo, ``script`` in ``tools/``, in the project's folder; exit where a step fails."""
    os.chdir(Path(script).resolve().parents[1])  # paths in the configs are relative to it
    try:
        main()
    except ChildProcessError as error:
        sys.exit(f'the demo stopped: {error}')


def device_environment(device: str) -> dict[str, str]:
    """The environment in which a process sees this device alone, as ``cuda:0``, or no GPU."""
    kind, _, index = device.partition(':')
    if kind == 'cpu':
        return dict(CUDA_VISIBLE_DEVICES='')
    visible = os.environ.get('CUDA_VISIBLE_DEVICES')
    if visible is None:
        return dict(CUDA_VISIBLE_DEVICES=index or '0')
    try:
        return dict(CUDA_VISIBLE_DEVICES=(visible.split(',') if visible else [])[int(index or 0)])
    except IndexError:
        raise ValueError(f'device {device} is not among CUDA_VISIBLE_DEVICES={visible}') from None


def _run_mim(script: str, config: str | Path, arguments: list[str], device: str,
             options: Sequence[str], gpus: int = 1) -> None:
    command = ['mim', script, 'mmaction', str(config), '--gpus',
               str(0 if device == 'cpu' else gpus), *arguments,
               *(['--cfg-options', *options] if options else [])]
    # the other half of the cores is for the loaders: with more threads than cores, both crawl
    threads = max(1, (os.cpu_count() or 1) // 2)
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    if gpus == 1:  # several: those that are visible already
        environment.update(device_environment(device))
    console.print('$ ' + ' '.join(command), highlight=False, soft_wrap=True)
    if subprocess.run([sys.executable, '-m', *command], env=environment).returncode:
        raise ChildProcessError(f'mim {script} failed for {config}; see the messages above')

"""Training the arms of an ablation, each once."""
import json
import os
import subprocess
import sys
from pathlib import Path

from mmengine.config import Config

from ..utils.files import atomic_file
from .accuracy import measure_accuracy

RECORD = 'arm.json'


def run_arm(config: str, folder: Path, on_gpu: bool) -> tuple[str, dict[str, float] | None]:
    """Train and test a config through ``mim``, or go on where it was stopped.

    Args:
        config (str): Path of the config.
        folder (Path): For its log, checkpoints and result; what is finished there is not
            done again.
        on_gpu (bool): Whether to train on a GPU.

    Returns:
        tuple: The last checkpoint, and the metrics in [0, 1], None without labels.

    Raises:
        ValueError: If the folder belongs to another state of the config.
        ChildProcessError: If the training fails.
    """
    cfg = Config.fromfile(config)
    record = dict(config=json.loads(json.dumps(cfg.to_dict())))
    path = folder / RECORD
    if path.exists():
        saved = json.loads(path.read_text(encoding='utf-8'))
        if saved['config'] != record['config']:
            raise ValueError(f'{folder} was trained with another state of {config}: move the '
                             'folder away, or choose another one by --out')
        record = saved
    else:
        _write(path, record)
    if 'metrics' not in record:
        record['checkpoint'] = _train(config, cfg, folder, on_gpu)
        record['metrics'] = measure_accuracy(cfg, record['checkpoint'], str(folder / 'test'))
        _write(path, record)
    return record['checkpoint'], record['metrics']


def _write(path: Path, record: dict) -> None:
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(record, indent=1), encoding='utf-8')


def _train(config: str, cfg: Config, folder: Path, on_gpu: bool) -> str:
    """Train to the last epoch; returns its checkpoint."""
    pointer = folder / 'last_checkpoint'
    last = f'epoch_{cfg.train_cfg.max_epochs}.pth'
    if not (pointer.exists() and Path(pointer.read_text(encoding='utf-8').strip()).name == last):
        # the other half of the cores is for the loaders: with more threads than cores, both crawl
        threads = str(max(1, (os.cpu_count() or 1) // 2))
        result = subprocess.run(
            [sys.executable, '-m', 'mim', 'train', 'mmaction', str(config), '--gpus',
             str(int(on_gpu)), '--work-dir', str(folder), '--resume'],
            env=dict(os.environ, OMP_NUM_THREADS=threads))
        if result.returncode:
            raise ChildProcessError(f'the training of {config} failed; its messages stand above. '
                                    'The same command goes on from its last checkpoint')
    return pointer.read_text(encoding='utf-8').strip()

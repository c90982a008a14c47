"""Accuracy of a checkpoint through mmengine's own test loop."""
import copy
import math
import os
from collections.abc import Callable
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

from ..apis.model import build_test_dataset


def read_test_part(cfg: Config) -> tuple[str, int, bool]:
    """Annotation file of ``test_dataloader``, number of its clips, and whether any has a label."""
    dataset = build_test_dataset(cfg)
    labels = [dataset.get_data_info(index)['label'] for index in range(len(dataset))]
    return dataset.ann_file, len(labels), any(label >= 0 for label in labels)


def measure_accuracy(cfg: Config, checkpoint: str, work_dir: str,
                     metric: str = 'MiGASubmission') -> dict[str, float] | None:
    """Test as ``mim test`` does, without writing a leaderboard file.

    Returns:
        dict[str, float], optional: ``acc/top1``, ``acc/top5`` and ``acc/mean1`` in [0, 1];
        None if no clip has a label, which ``MiGASubmission`` allows.
    """
    cfg = copy.deepcopy(cfg)
    cfg.load_from, cfg.resume, cfg.work_dir = checkpoint, False, work_dir
    cfg.log_level = 'WARNING'
    cfg.test_evaluator = dict(type=metric)
    # mmengine shares loggers between runners of one name, which else is the second they start in
    cfg.experiment_name = os.urandom(8).hex()
    return Runner.from_cfg(cfg).test() or None


def accuracy_or_reason(name: str, cfg: Config, checkpoint: str | None,
                       view: tuple[int | None, ...], ann_file: str | None, work_dir: Path,
                       say: Callable[[str], None]) -> tuple[dict[str, float] | None, str]:
    """Accuracy of a compared model and what it is of, or None and why there is none.

    An ``ann_file`` that is missing or has no labels is an error.
    """
    if checkpoint is None:
        return None, 'no accuracy without a checkpoint'
    if any(view):
        return None, 'no accuracy at another view than the data pipeline makes'
    if ann_file:
        cfg.test_dataloader.dataset.ann_file = ann_file
    try:
        path, num_clips, is_labelled = read_test_part(cfg)
    except FileNotFoundError as error:
        if ann_file:
            raise
        return None, f'no accuracy: {error}'
    if not is_labelled and ann_file:
        raise ValueError(f'{path} has no labels, so {name} has no accuracy on it: give a labelled '
                         'part, or no --ann-file')
    if not is_labelled:
        return None, f'no accuracy: {path} has no labels, see --ann-file'
    say(f'testing {name} on {path}, {num_clips} clips')
    metrics = measure_accuracy(cfg, checkpoint, str(work_dir / 'test' / name))
    return metrics, (f'accuracy: float32, {num_clips} clips of {path}, standard error of Top-1 up '
                     f'to {50 / math.sqrt(num_clips):.1f} points')

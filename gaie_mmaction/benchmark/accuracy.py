"""Accuracy of a checkpoint through mmengine's own test loop."""
import copy
from dataclasses import dataclass

from mmaction.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, load_checkpoint
from torch import nn


@dataclass(frozen=True)
class TestPart:
    """The clips that a config is tested on.

    Attributes:
        ann_file (str): The annotation file, with its folder.
        num_clips (int): How many.
        is_labelled (bool): Whether there is any label.
    """
    __test__ = False  # not pytest's

    ann_file: str
    num_clips: int
    is_labelled: bool


def read_test_part(cfg: Config) -> TestPart:
    """Look at the clips of ``test_dataloader``; no video is opened.

    Args:
        cfg (Config): With ``test_dataloader``.

    Returns:
        TestPart: What they are.

    Raises:
        FileNotFoundError: If the annotation file is not there.
    """
    init_default_scope(cfg.get('default_scope', 'mmaction'))
    dataset = DATASETS.build(copy.deepcopy(cfg.test_dataloader.dataset))
    labels = [dataset.get_data_info(index)['label'] for index in range(len(dataset))]
    return TestPart(dataset.ann_file, len(labels), any(label >= 0 for label in labels))


def load_weights(model: nn.Module, checkpoint: str, config: str) -> dict:
    """Load a checkpoint that fits the model exactly.

    Args:
        model (nn.Module): Of the config.
        checkpoint (str): Path or URL.
        config (str): Named in the error.

    Returns:
        dict: What the checkpoint says of itself (``meta``); empty if nothing.

    Raises:
        ValueError: If anything is missing, too much or of another shape, or if the file is
            damaged or refused.
        FileNotFoundError: If there is no such checkpoint.
    """
    try:
        loaded = load_checkpoint(
            model, checkpoint, map_location='cpu', strict=True, logger='silent')
    except RuntimeError as error:
        if 'do not match exactly' not in str(error):
            raise ValueError(str(error)) from error
        # mmengine's first line says that something did not match, each further one what
        reasons = [line.strip() for line in str(error).splitlines()[1:] if line.strip()]
        shown = '\n  '.join(reason if len(reason) < 300 else reason[:300] + ' ...'
                            for reason in reasons[:4])
        more = f'\n  and {len(reasons) - 4} more' if len(reasons) > 4 else ''
        raise ValueError(f'checkpoint {checkpoint} does not fit {config}:\n  {shown}{more}\n'
                         'give the config that it was trained with') from error
    return loaded.get('meta', {})


def measure_accuracy(cfg: Config, checkpoint: str, work_dir: str) -> dict[str, float] | None:
    """Test as ``mim test`` does, and write no leaderboard file.

    Args:
        cfg (Config): A whole config; it stays as it is.
        checkpoint (str): Path or URL.
        work_dir (str): For the log.

    Returns:
        dict[str, float], optional: ``acc/top1``, ``acc/top5`` and ``acc/mean1`` in [0, 1];
        None if the clips have no labels.
    """
    cfg = copy.deepcopy(cfg)
    cfg.load_from, cfg.resume, cfg.work_dir = checkpoint, False, work_dir
    cfg.log_level = 'WARNING'
    cfg.test_evaluator = dict(type='MiGASubmission')
    return Runner.from_cfg(cfg).test() or None

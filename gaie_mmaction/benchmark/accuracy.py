"""Accuracy of a checkpoint through mmengine's own test loop."""
import copy
from dataclasses import dataclass

from mmaction.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner


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

"""The leaderboard's metric and its file."""
import csv
import os
import re
from collections import Counter
from typing import Dict, List, Optional, Sequence

import numpy as np
from mmaction.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log


@METRICS.register_module()
class MiGASubmission(BaseMetric):
    """Accuracy where there are labels, and the MiGA challenge's csv file.

    Labelled clips give ``acc/top1``, ``acc/top5`` and ``acc/mean1``, each in [0, 1]; the
    last is the mean over the classes that occur in the labels. Of an unlabelled
    part (label -1) no accuracy is given. The file has the header ``Id,Target``
    and a row a clip, in order of video id, then row number (challenge of 2025).
    A file of the same name is only replaced by a complete one.

    Args:
        out_file (str, optional): Where the file goes, from the current folder.
            Defaults to None, no file.
        collect_device (str): ``'cpu'`` or ``'gpu'``, for distributed runs. Defaults to ``'cpu'``.
        prefix (str, optional): Replaces ``acc`` in the names. Defaults to None.
    """

    default_prefix = 'acc'

    def __init__(self,
                 out_file: Optional[str] = None,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.out_file = out_file

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Keep the clip id, the scores and the label of each clip.

        Args:
            data_batch: Not used.
            data_samples (Sequence[dict]): With ``pred_score`` ``(num_classes,)``,
                ``gt_label`` ``(1,)`` and the meta key ``clip_id``.

        Raises:
            KeyError: If the clips have no id.
        """
        for sample in data_samples:
            if 'clip_id' not in sample:
                raise KeyError("MiGASubmission needs the clips' ids: add 'clip_id' to meta_keys of "
                               'PackActionInputs in the test pipeline')
            self.results.append(
                dict(
                    clip_id=sample['clip_id'],
                    scores=sample['pred_score'].float().cpu().numpy(),
                    label=int(sample['gt_label'])))

    def evaluate(self, size: int) -> Dict[str, float]:
        """Check that no clip is missing, then evaluate.

        Args:
            size (int): Number of clips of the dataset.

        Returns:
            dict[str, float]: As :meth:`compute_metrics`, names with the prefix.
        """
        self._size = size
        return super().evaluate(size)

    def compute_metrics(self, results: List[dict]) -> Dict[str, float]:
        """Accuracy, and the file if one is wanted.

        Args:
            results (list[dict]): What :meth:`process` kept, of all processes.

        Returns:
            dict[str, float]: ``top1``, ``top5`` and ``mean1``, or nothing if unlabelled.

        Raises:
            ValueError: If a clip is missing or occurs twice, or only some clips have a
                label. No file is written then.
        """
        ids = [result['clip_id'] for result in results]
        repeated = sorted(clip_id for clip_id, times in Counter(ids).items() if times > 1)
        if repeated:
            raise ValueError(f'{len(repeated)} clips occur more than once, e.g. {repeated[:5]}; '
                             f'{self._not_written()}')
        if len(ids) != self._size:
            raise ValueError(f'there are predictions of {len(ids)} clips, but the dataset has '
                             f'{self._size}; {self._not_written()}')
        scores = np.stack([result['scores'] for result in results])
        labels = np.array([result['label'] for result in results])
        unlabelled = int((labels < 0).sum())
        if 0 < unlabelled < len(labels):
            raise ValueError(f'{unlabelled} of {len(labels)} clips have no label (-1): evaluate '
                             f'labelled and unlabelled clips apart; {self._not_written()}')
        if self.out_file is not None:
            write_submission(self.out_file, ids, scores.argmax(axis=1))
            print_log(
                f'{len(ids)} predictions are written to {os.path.abspath(self.out_file)}',
                logger='current')
        return {} if unlabelled else accuracy(scores, labels)

    def _not_written(self) -> str:
        if self.out_file is None or not os.path.exists(self.out_file):
            return 'nothing was written'
        return f'nothing was written, and {self.out_file} is left from an earlier run'


def accuracy(scores: np.ndarray, labels: np.ndarray) -> Dict[str, float]:
    """Top-1, Top-5 and mean class accuracy.

    Args:
        scores (np.ndarray): ``(clips, classes)``, higher = more likely.
        labels (np.ndarray): ``(clips,)``, in [0, classes).

    Returns:
        dict[str, float]: ``top1``, ``top5`` and ``mean1`` (mean over the classes that
        occur in ``labels``), each in [0, 1]. With ties the lower class wins.
    """
    ranked = np.argsort(-scores, axis=1, kind='stable')
    hit = ranked[:, 0] == labels
    recalls = [hit[labels == label].mean() for label in np.unique(labels)]
    return dict(
        top1=float(hit.mean()),
        top5=float((ranked[:, :5] == labels[:, None]).any(axis=1).mean()),
        mean1=float(np.mean(recalls)))


def submission_order(clip_id: str) -> tuple:
    """Sort key: ``<VID>_<k>`` by its two numbers; other ids as text, behind them."""
    numbers = re.fullmatch('([0-9]+)_([0-9]+)', clip_id)
    return (0, int(numbers[1]), int(numbers[2]), clip_id) if numbers else (1, 0, 0, clip_id)


def write_submission(out_file: str, clip_ids: Sequence[str], targets: Sequence[int]) -> None:
    """Write ``Id,Target`` rows in the leaderboard's order.

    The file appears only when it is complete.

    Args:
        out_file (str): Path; missing folders are made.
        clip_ids (Sequence[str]): ``<VID>_<k>`` each.
        targets (Sequence[int]): Predicted class of each, 0..31.
    """
    out_file = os.path.abspath(out_file)
    os.makedirs(os.path.dirname(out_file), exist_ok=True)
    rows = sorted(zip(clip_ids, targets), key=lambda row: submission_order(row[0]))
    partial = f'{out_file}.partial'
    with open(partial, 'w', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(('Id', 'Target'))
        writer.writerows((clip_id, int(target)) for clip_id, target in rows)
    os.replace(partial, out_file)

"""The leaderboard's metric."""
import logging
import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmaction.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from ..datasets.annotations import examples
from ..utils.files import require_writable
from . import submission_file as files
from .class_report import accuracy, write_class_report
from .submission_file import compare_ids


@METRICS.register_module()
class MiGASubmission(BaseMetric):
    """Accuracy of a labelled part, and the MiGA challenge's leaderboard file.

    Labelled clips give ``acc/top1``, ``acc/top5`` and ``acc/mean1``, each in [0, 1]; the last is
    the mean over the classes that occur in the labels. An unlabelled part (label -1) has no
    accuracy. The leaderboard file has one row per clip, ordered by video id, then row number.

    The file is written only if it has one prediction for each clip of the annotation file that the
    dataset's metainfo names, or else as many as the dataset has clips. Otherwise an existing file
    stays as it is.

    Args:
        out_file (str, optional): Path of the leaderboard file. Defaults to None: the work folder's
            ``prediction.csv`` (``Submission.zip`` of format 2023) for an unlabelled part, no file
            for a labelled one.
        format (str or int): ``'2025'`` (also of 2026): header ``Id,Target``; a csv, or a zip
            with ``prediction.csv`` if ``out_file`` ends in ``.zip``. ``'2023'``: a zip with
            ``Submission.csv``, no header. Defaults to ``'2025'``.
        out_dir (str, optional): Folder for ``confusion_matrix.csv``, ``recall.csv`` and a
            picture of each, of a labelled part. Defaults to None, nothing is written.
        collect_device (str): See ``BaseMetric``. Defaults to ``'cpu'``.
        prefix (str, optional): Replaces ``acc`` in the names. Defaults to None.
    """

    default_prefix = 'acc'

    def __init__(self, out_file: str | None = None, format: str | int = '2025',
                 out_dir: str | None = None, collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.out_file = out_file
        self.format = str(format)  # a number when it comes from --cfg-options
        self.out_dir = out_dir
        self.work_dir: str | None = None  # SubmissionHook sets it
        files.require_format(out_file, self.format)
        # now, and not after the whole test
        if out_file is not None:
            require_writable(out_file)
        if out_dir is not None:
            require_writable(os.path.join(out_dir, 'recall.csv'))

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the ``clip_id``, ``pred_score`` ``(num_classes,)`` and ``gt_label`` of each clip."""
        for sample in data_samples:
            if 'clip_id' not in sample:
                raise KeyError("MiGASubmission needs the ids of the clips: use an IMiGUEDataset "
                               "with 'clip_id' in meta_keys of PackActionInputs, or the metric "
                               'AccMetric')
            scores = sample['pred_score'].float().cpu().numpy()
            if scores.ndim != 1:
                raise ValueError(f'MiGASubmission needs one score per class, but clip '
                                 f'{sample["clip_id"]} has scores of shape {scores.shape}: set '
                                 "average_clips='prob' of the head")
            self.results.append(
                dict(clip_id=sample['clip_id'], scores=scores, label=int(sample['gt_label'])))

    def evaluate(self, size: int) -> dict[str, float]:
        """Evaluate the results of all processes; ``size`` is the number of clips."""
        self._size = size  # mmengine drops the clips beyond it, which its sampler repeated
        return super().evaluate(size)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compute ``top1``, ``top5`` and ``mean1``, if labelled, and write the files.

        A ``ValueError`` about clips, labels or scores comes before any file is written.
        """
        ids = [result['clip_id'] for result in results]
        scores = np.stack([result['scores'] for result in results])
        labels = np.array([result['label'] for result in results])
        unlabelled = int((labels < 0).sum())
        out_file = self.out_file
        if out_file is None and unlabelled and self.work_dir is not None:
            kind = files.FORMATS[self.format]
            out_file = os.path.join(self.work_dir, kind.member.replace('.csv', kind.endings[0]))
        try:
            self._check(ids, scores)
            if 0 < unlabelled < len(labels):
                raise ValueError(f'{unlabelled} of {len(labels)} clips have no label (-1): '
                                 'evaluate labelled and unlabelled clips separately')
            predicted = scores.argmax(axis=1)
            if out_file is not None and self._is_complete(ids, labelled=not unlabelled):
                self._write(out_file, ids, predicted)
        except ValueError as error:
            left = out_file is not None and os.path.exists(out_file)
            raise ValueError(f'{error}; nothing was written' + (
                f', and {out_file} is left from an earlier run' if left else '')) from error
        if unlabelled:
            print_log('the clips have no labels: no accuracy and no confusion matrix' + (
                ', and no leaderboard file without out_file' if out_file is None else ''),
                logger='current')
            return {}
        if self.out_dir is not None:
            classes = self._meta('classes') or [str(label) for label in range(scores.shape[1])]
            write_class_report(self.out_dir, predicted, labels, classes)
            print_log(f'confusion matrix and recall are written to '
                      f'{os.path.abspath(self.out_dir)}', logger='current')
        return accuracy(scores, labels)

    def _meta(self, key: str) -> Any:
        return (self.dataset_meta or {}).get(key)

    def _check(self, ids: list[str], scores: np.ndarray) -> None:
        if repeated := sorted(clip_id for clip_id, times in Counter(ids).items() if times > 1):
            raise ValueError(f'{len(repeated)} clips occur more than once, e.g. '
                             f'{examples(repeated)}')
        if len(ids) != self._size:
            raise ValueError(f'there are predictions of {len(ids)} clips, but the dataset has '
                             f'{self._size}')
        classes = self._meta('classes')
        if classes is not None and scores.shape[1] != len(classes):
            raise ValueError(f'the model has {scores.shape[1]} classes, but the dataset '
                             f'{len(classes)}: set model.cls_head.num_classes')
        if broken := [ids[k] for k in np.flatnonzero(~np.isfinite(scores).all(axis=1))]:
            raise ValueError(f'the scores of {len(broken)} clips are not finite, e.g. '
                             f'{examples(broken)}: the training diverged, or their input is '
                             'broken')

    def _is_complete(self, ids: list[str], labelled: bool) -> bool:
        """Compare with the annotation file; a labelled part may be evaluated in pieces."""
        ann_file = self._meta('ann_file')
        if ann_file is None:
            return True
        expected = files.read_clip_ids(ann_file, len(self._meta('classes')))
        unknown, missing = compare_ids(ids, expected)
        if unknown:
            raise ValueError(f'{len(unknown)} clips are not in {ann_file}, e.g. '
                             f'{examples(unknown)}')
        message = (f'{len(missing)} of {len(expected)} clips of {ann_file} have no prediction, '
                   f'e.g. {examples(missing)}: a leaderboard file needs the whole part, '
                   'without indices')
        if missing and not labelled:
            raise ValueError(message)
        if missing:
            print_log(f'{message}; nothing was written', logger='current', level=logging.WARNING)
        return not missing

    def _write(self, out_file: str, ids: list[str], predicted: np.ndarray) -> None:
        replaced = os.path.exists(out_file)
        try:
            files.write_submission(out_file, ids, predicted.tolist(), self.format)
        except OSError as error:
            raise OSError(
                f'{out_file} cannot be written: {error}; an earlier file is intact. With `--dump '
                'scores.pkl` the test keeps the scores of all clips, also when this file fails, '
                'and `mim run mmaction eval_metric CONFIG scores.pkl --cfg-options '
                'test_evaluator.out_file=FILE` makes it from them') from error
        print_log(f'{len(ids)} predictions are written to {os.path.abspath(out_file)}'
                  + ', replacing an earlier file' * replaced, logger='current',
                  level=logging.WARNING if replaced else logging.INFO)

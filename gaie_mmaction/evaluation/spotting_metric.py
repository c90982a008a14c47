"""The metric of gesture spotting."""
import os
from collections.abc import Sequence
from typing import Any

from mmaction.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from ..datasets.segment_file import write_segments
from ..utils.files import atomic_file, require_writable
from . import spotting


@METRICS.register_module()
class SpottingF1(BaseMetric):
    """F1 of spotted gestures over all videos and classes, and mAP at IoU 0.1 to 0.9.

    Data samples carry ``video_name``, ``pred_segments`` and, where the truth is known,
    ``gt_instances``, each with ``segments`` ``(n, 2)`` in frames, both ends included, and
    ``labels``; predictions with ``scores``.

    Args:
        min_overlap (float): A hit has an overlap above it. Defaults to 0.3.
        threshold (float, optional): Predictions with a lower score do not count for ``precision``,
            ``recall``, ``f1`` and the kit's ``kit_f1``. Defaults to None, the best one for
            these videos, which makes these figures optimistic.
        out_file (str, optional): Path of a ``segments.csv`` for all predictions. Defaults to
            None, none is written.
        out_dir (str, optional): Folder for ``f1_curve.csv`` and ``f1_per_class.csv``. Defaults to
            None, none is written.
        collect_device (str): See ``BaseMetric``. Defaults to ``'cpu'``.
        prefix (str, optional): Replaces ``spotting`` in the names. Defaults to None.
    """

    default_prefix = 'spotting'

    def __init__(self, min_overlap: float = .3, threshold: float | None = None,
                 out_file: str | None = None, out_dir: str | None = None,
                 collect_device: str = 'cpu', prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.min_overlap = min_overlap
        self.threshold = threshold
        self.out_file = out_file
        self.out_dir = out_dir
        for path in (out_file, out_dir and os.path.join(out_dir, 'f1_curve.csv')):
            if path:
                require_writable(path)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the segments found in each video, and the true ones."""
        for sample in data_samples:
            name = sample['video_name']
            found = _as_segments(name, sample['pred_segments'], ('labels', 'scores'))
            true = (_as_segments(name, sample['gt_instances'], ('labels',))
                    if 'gt_instances' in sample else None)
            self.results.append((found, true))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute all figures, and write the files; there are none without a true segment."""
        found = [segment for segments, _ in results for segment in segments]
        if self.out_file is not None:
            write_segments(self.out_file, found)
            print_log(f'{len(found)} segments are written to {os.path.abspath(self.out_file)}',
                      logger='current')
        truths = [true for _, true in results]
        if None in truths or not any(truths):
            print_log('the videos have no true segments: no F1', logger='current')
            return {}
        true = [segment for segments in truths for segment in segments]
        threshold, best = spotting.best_threshold(found, true, self.min_overlap)
        if self.threshold is not None:
            threshold = self.threshold
        kept = [segment for segment in found if segment[4] >= threshold]
        figures = spotting.spotting_f1(kept, true, self.min_overlap)
        kit = spotting.spotting_f1(kept, true, self.min_overlap, kit=True)
        precision = spotting.mean_average_precision(found, true)
        if self.out_dir is not None:
            self._write(found, kept, true)
        return dict(precision=figures['precision'], recall=figures['recall'], f1=figures['f1'],
                    kit_f1=kit['f1'], best_f1=best, threshold=threshold,
                    mAP=sum(precision.values()) / len(precision),
                    **{f'mAP@{iou}': value for iou, value in precision.items()})

    def _write(self, found: list[tuple], kept: list[tuple], true: list[tuple]) -> None:
        import pandas as pd  # slow to import
        classes = (self.dataset_meta or {}).get('classes')
        thresholds, f1 = spotting.f1_curve(found, true, self.min_overlap)
        per_class = spotting.f1_per_class(kept, true, self.min_overlap)
        tables = dict(
            f1_curve=pd.DataFrame(dict(threshold=thresholds, f1=f1)),
            f1_per_class=pd.DataFrame([
                {'class': classes[label] if classes else label, **row,
                 'true': sum(segment[3] == label for segment in true)}
                for label, row in per_class.items()]))
        for name, table in tables.items():
            with atomic_file(os.path.join(str(self.out_dir), f'{name}.csv')) as partial:
                table.to_csv(partial, index=False, float_format='%.6f', lineterminator='\n')


def _as_segments(video_id: str, part: Any, keys: tuple[str, ...]) -> list[tuple]:
    columns = zip(*(part[key].tolist() for key in ('segments', *keys)))
    return [(video_id, round(start), round(end), *values) for (start, end), *values in columns]

"""F1_mean of Micro-Action-52, and its metric."""
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmaction.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from ..datasets.ma52_classes import BODY_PARTS
from .class_report import accuracy

Groups = Mapping[str, Sequence[int]]


def micro_action_f1(predicted: Sequence[int] | np.ndarray, true: Sequence[int] | np.ndarray,
                    groups: Groups = BODY_PARTS) -> dict[str, float]:
    """F1_mean: the mean of micro and macro F1 of the actions and of their body parts.

    Args:
        predicted, true (np.ndarray): ``(clips,)``, actions, 0..51.
        groups (Mapping[str, Sequence[int]]): Actions of each body part, or of each coarse class of
            another data set. Defaults to Micro-Action-52's.

    Returns:
        dict[str, float]: ``f1_mean``, ``action_micro``, ``action_macro``, ``body_micro`` and
        ``body_macro``, in [0, 1]. Macro is the mean over the classes that occur in ``predicted``
        or ``true``.

    Raises:
        ValueError: If the lengths differ, there is no clip, or a label is in no group.
    """
    from sklearn.metrics import f1_score  # slow to import
    predicted, true = np.asarray(predicted), np.asarray(true)
    if predicted.shape != true.shape or predicted.ndim != 1 or not len(true):
        raise ValueError('predicted and true must be labels of the same clips, at least one, but '
                         f'have the shapes {predicted.shape} and {true.shape}')
    parts = _group_of(groups)
    if wrong := sorted(set(np.concatenate([predicted, true])) - set(range(len(parts)))):
        raise ValueError(f'labels must be in 0..{len(parts) - 1}, but got {wrong[0]}')
    pairs = dict(action=(true, predicted), body=(parts[true], parts[predicted]))
    f1 = {f'{level}_{average}': float(f1_score(*pair, average=average))
          for level, pair in pairs.items() for average in ('micro', 'macro')}
    return dict(f1_mean=sum(f1.values()) / len(f1), **f1)


def _group_of(groups: Groups) -> np.ndarray:
    group = {label: k for k, labels in enumerate(groups.values()) for label in labels}
    return np.array([group[label] for label in range(len(group))])


@METRICS.register_module()
class MicroActionF1(BaseMetric):
    """F1_mean of Micro-Action-52, its four parts, and Top-1 and Top-5 of actions and body parts.

    F1 of body parts takes the part of the best action, Top-k ranks parts by the sum of their
    actions' scores. ``groups`` in the metainfo of a data set replace the body parts.
    Arguments are those of ``BaseMetric``.
    """

    default_prefix = 'ma52'

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the ``pred_score`` ``(classes,)`` and ``gt_label`` of each clip."""
        for sample in data_samples:
            self.results.append(
                (sample['pred_score'].float().cpu().numpy(), int(sample['gt_label'])))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute all figures; there are none where clips have no label (-1)."""
        scores = np.stack([scores for scores, _ in results])
        true = np.array([label for _, label in results])
        if broken := int((~np.isfinite(scores).all(axis=1)).sum()):
            raise ValueError(f'the scores of {broken} of {len(scores)} clips are not finite: the '
                             'training diverged, or their input is broken')
        if (true < 0).any():
            print_log('the clips have no labels: no F1', logger='current')
            return {}
        groups = (self.dataset_meta or {}).get('groups', BODY_PARTS)
        parts = _group_of(groups)
        if scores.shape[1:] != parts.shape:
            raise ValueError(f'the groups have {len(parts)} classes, but clips have scores of '
                             f'shape {scores.shape[1:]}: set model.cls_head.num_classes')
        figures = micro_action_f1(scores.argmax(axis=1), true, groups)
        sums = np.stack([scores[:, parts == k].sum(axis=1) for k in range(len(groups))], axis=1)
        for level, values, labels in (('action', scores, true), ('body', sums, parts[true])):
            top = accuracy(values, labels)
            figures |= {f'{level}_{name}': top[name] for name in ('top1', 'top5')}
        return figures

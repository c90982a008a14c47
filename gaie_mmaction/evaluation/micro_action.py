"""F1_mean of Micro-Action-52, and its metric."""
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmaction.registry import METRICS
from mmengine.evaluator import BaseMetric

from ..datasets.ma52_classes import BODY_PART_OF_ACTION, BODY_PARTS

NUM_ACTIONS, NUM_PARTS = len(BODY_PART_OF_ACTION), len(BODY_PARTS)


def micro_action_f1(predicted: Sequence[int] | np.ndarray,
                    true: Sequence[int] | np.ndarray) -> dict[str, float]:
    """F1_mean: the mean of micro and macro F1 of the actions and of their body parts.

    Args:
        predicted, true (np.ndarray): ``(clips,)``, actions, 0..51.

    Returns:
        dict[str, float]: ``f1_mean``, ``action_micro``, ``action_macro``, ``body_micro`` and
        ``body_macro``, in [0, 1]. Macro is the mean over the classes that occur in ``predicted``
        or ``true``.

    Raises:
        ValueError: If the lengths differ, there is no clip, or a label is not in 0..51.
    """
    from sklearn.metrics import f1_score  # slow to import
    predicted, true = np.asarray(predicted), np.asarray(true)
    if predicted.shape != true.shape or predicted.ndim != 1 or not len(true):
        raise ValueError('predicted and true must be labels of the same clips, at least one, but '
                         f'have the shapes {predicted.shape} and {true.shape}')
    if wrong := sorted(set(np.concatenate([predicted, true])) - set(range(NUM_ACTIONS))):
        raise ValueError(f'labels must be in 0..{NUM_ACTIONS - 1}, but got {wrong[0]}')
    parts = np.array(BODY_PART_OF_ACTION)
    pairs = dict(action=(true, predicted), body=(parts[true], parts[predicted]))
    f1 = {f'{level}_{average}': float(f1_score(*pair, average=average))
          for level, pair in pairs.items() for average in ('micro', 'macro')}
    return dict(f1_mean=sum(f1.values()) / len(f1), **f1)


def body_scores(scores: np.ndarray) -> np.ndarray:
    """Scores of the body parts, ``(..., 52) -> (..., 7)``: the sum of their actions' scores."""
    parts = np.array(BODY_PART_OF_ACTION)
    return np.stack([scores[..., parts == part].sum(axis=-1) for part in range(NUM_PARTS)], axis=-1)


@METRICS.register_module()
class MicroActionF1(BaseMetric):
    """F1_mean of Micro-Action-52, its four parts, and Top-1 and Top-5 of actions and body parts.

    A part's F1 is that of the best action's part; its Top-k ranks the summed scores
    of its actions.

    Args:
        collect_device (str): See ``BaseMetric``. Defaults to ``'cpu'``.
        prefix (str, optional): Replaces ``ma52`` in the names. Defaults to None.
    """

    default_prefix = 'ma52'

    def __init__(self, collect_device: str = 'cpu', prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the ``pred_score`` ``(52,)`` and ``gt_label`` of each clip."""
        for sample in data_samples:
            scores = sample['pred_score'].float().cpu().numpy()
            if scores.shape != (NUM_ACTIONS,):
                raise ValueError(f'MicroActionF1 needs {NUM_ACTIONS} scores per clip, but got '
                                 f'shape {scores.shape}: set model.cls_head.num_classes')
            self.results.append((scores, int(sample['gt_label'])))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute all figures; clips without a label are a ``ValueError``."""
        from .class_report import accuracy
        scores, true = np.stack([scores for scores, _ in results]), np.array(
            [label for _, label in results])
        figures = micro_action_f1(scores.argmax(axis=1), true)
        for level, values, labels in (
                ('action', scores, true),
                ('body', body_scores(scores), np.array(BODY_PART_OF_ACTION)[true])):
            top = accuracy(values, labels)
            figures |= {f'{level}_{name}': top[name] for name in ('top1', 'top5')}
        return figures

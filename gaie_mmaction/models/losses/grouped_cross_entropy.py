"""Cross entropy at two levels: of the classes, and of the groups they belong to."""
from typing import Any

import torch
import torch.nn.functional as F
from mmaction.models.losses import CrossEntropyLoss
from mmaction.registry import MODELS

from ...datasets.dataset_info import get_dataset_info


@MODELS.register_module()
class GroupedCrossEntropyLoss(CrossEntropyLoss):
    """Cross entropy of the classes, and of the groups of a data set, such as body parts.

    The probability of a group is the sum of those of its classes, so that any head can have this
    loss as ``loss_cls``, without further weights. It gives ``loss_cls`` and ``loss_group``.

    Args:
        dataset (str): Registered name of a data set with groups, such as ``'ma52'``.
        group_weight (float): Factor of ``loss_group``. Defaults to 1.0.
        loss_weight (float): Factor of both. Defaults to 1.0.
        class_weight (list[float], optional): Factor of each class, in ``loss_cls`` alone.
            Defaults to None, no factors.

    Raises:
        ValueError: If the data set has no groups, or the scores have other classes.
    """

    def __init__(self, *, dataset: str, group_weight: float = 1., loss_weight: float = 1.,
                 class_weight: list[float] | None = None) -> None:
        super().__init__(loss_weight, class_weight)
        info = get_dataset_info(dataset)
        if 'groups' not in info:
            raise ValueError(f'the data set {dataset!r} is registered without groups')
        self.dataset, self.group_weight = dataset, group_weight
        self.num_classes = len(info['classes'])
        self.groups = list(info['groups'].values())

    def _forward(self, cls_score: torch.Tensor, label: torch.Tensor, **kwargs: Any
                 ) -> dict[str, torch.Tensor]:
        """Losses of ``(B, C)`` scores with labels ``(B,)``, or soft labels ``(B, C)``."""
        if cls_score.shape[-1] != self.num_classes:
            raise ValueError(f'{self.dataset} has {self.num_classes} classes, but the head gives '
                             f'{cls_score.shape[-1]} scores')
        soft = label if label.shape == cls_score.shape else F.one_hot(label, self.num_classes)
        scores = torch.stack([cls_score[:, classes].logsumexp(1) for classes in self.groups], 1)
        labels = torch.stack([soft[:, classes].sum(1) for classes in self.groups], 1)
        return dict(loss_cls=super()._forward(cls_score, label, **kwargs),
                    loss_group=self.group_weight * F.cross_entropy(scores, labels.to(scores)))

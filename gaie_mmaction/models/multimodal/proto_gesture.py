"""RGB frames and skeleton heatmaps, refined by class prototypes.

Shapes: B batch, C input channels, D projected channels, K classes.
"""
from typing import Any

import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from mmaction.utils import OptConfigType, SampleList
from mmengine.dist import all_reduce
from mmengine.model import BaseModule, ModuleDict
from torch import Tensor, nn

from .rgb_pose_recognizer import RGBPoseRecognizer


@MODELS.register_module()
class ProtoGesture(RGBPoseRecognizer):
    """"Prototype Learning for Micro-gesture Classification", arXiv 2408.03097.

    From the paper: PoseConv3D with an RGB branch of 8 frames and a pose branch of 32 heatmaps,
    whose channels attend to each other (:class:`CrossModalRGBPoseConv3D`), and class prototypes
    that calibrate ambiguous samples (:class:`PrototypeRefinement`). From the authors' later code
    (PCAN): the weight of the prototype loss. Ours: one classifier and one set of prototypes per
    branch, on features averaged over space and time; the branches' probabilities are averaged.
    The published 70.25 is of an ensemble of several networks.

    Args:
        backbone (dict): Config of a :class:`CrossModalRGBPoseConv3D`.
        cls_head (dict): Config of an ``RGBPoseHead`` with ``average_clips='prob'``.
        refinement (dict, optional): Arguments of :class:`PrototypeRefinement` except
            ``in_channels`` and ``num_classes``, which are the head's. Defaults to None.
        refinement_weight (float): Weight of the prototype loss. Defaults to 0.2.
        data_preprocessor (dict, optional): Same as ``BaseRecognizer``. Defaults to None.
    """

    def __init__(self, *, backbone: dict, cls_head: dict, refinement: dict | None = None,
                 refinement_weight: float = 0.2, data_preprocessor: OptConfigType = None) -> None:
        super().__init__(backbone, cls_head, data_preprocessor=data_preprocessor)
        self.refinement_weight = refinement_weight
        self.refinement = ModuleDict({
            name: PrototypeRefinement(channels, self.cls_head.num_classes, **(refinement or {}))
            for name, channels in zip(('rgb', 'pose'), self.cls_head.in_channels)})

    def loss(self, inputs: dict[str, Tensor], data_samples: SampleList, **kwargs: Any) -> dict:
        """Same as :meth:`RGBPoseRecognizer.loss`, plus ``{rgb,pose}_loss_prototype``."""
        features, _ = self.extract_feat(inputs)
        scores = self.scores(features)
        losses = self.cls_head.loss_by_feat(scores, data_samples)
        labels = torch.cat([sample.gt_label for sample in data_samples])
        # the refinement is for training alone: a prediction needs no prototypes
        for feature, (name, refine) in zip(features, self.refinement.items()):
            losses[f'{name}_loss_prototype'] = self.refinement_weight * refine(
                feature.mean(dim=(2, 3, 4)), scores[name], labels)
        return losses


class PrototypeRefinement(BaseModule):
    """Contrast samples with class prototypes, ambiguous samples with more weight.

    From "Prototype Learning for Micro-gesture Classification" (arXiv 2408.03097), which takes it
    from FR-Head ("Learning Discriminative Representations for Skeleton Based Action Recognition",
    CVPR 2023, section 3.3): a batch gives three sets per class k, the true positives, which move
    the prototype of k, the false negatives and the false positives. With s the cosines of a
    sample's projected feature f to the prototypes, and p the probability of its class y, the loss
    is the batch mean of two cross-entropies with logits s / t, where the logit of y is replaced by

        (s[y] + a (1 - p) (cos(f, false_negatives[y]) - 1)) / t
        (s[y] - a (1 - p) (cos(f, false_positives[y]) + 1)) / t

    so that an uncertain sample is pulled towards the missed samples of its class and pushed away
    from those mistaken for it. An empty set adds no such term. Ours: no gradient flows through
    prototypes and set means; prototypes start at random.

    Args:
        in_channels, num_classes (int): C and K.
        channels (int): Number of projected channels D. Defaults to 256.
        momentum (float): Share of the old prototype in an update, in [0, 1). Defaults to 0.9.
        temperature (float): t, positive. Defaults to 0.125.
        alpha (float): a. Defaults to 0.125.
    """

    def __init__(self, in_channels: int, num_classes: int, channels: int = 256,
                 momentum: float = 0.9, temperature: float = 0.125, alpha: float = 0.125) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise ValueError(f'momentum must be in [0, 1), but got {momentum}')
        if temperature <= 0:
            raise ValueError(f'temperature must be positive, but got {temperature}')
        self.momentum = momentum
        self.temperature = temperature
        self.alpha = alpha
        self.project = nn.Linear(in_channels, channels)
        # a buffer: saved with the model, moved by the batches and not by the optimizer
        self.register_buffer('prototypes', torch.randn(num_classes, channels))

    def forward(self, features: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
        """Update the prototypes (in training) and compute the scalar loss.

        Of features ``(B, C)``, the classifier's logits ``(B, K)`` and labels ``(B,)``.
        """
        features = self.project(features).to(self.prototypes)  # (B, C) -> (B, D)
        # cosines are divided by a small temperature: no half precision from here on
        with torch.autocast(features.device.type, enabled=False):
            return self._contrast(features, scores.to(self.prototypes), labels)

    def _contrast(self, features: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
        targets, probability = features.detach(), scores.detach().softmax(dim=1)
        true = F.one_hot(labels, len(self.prototypes)).to(features)  # (B, K)
        predicted = F.one_hot(scores.argmax(dim=1), len(self.prototypes)).to(features)
        if self.training:
            self._update(targets, true * predicted)
        unit = F.normalize(features, dim=1)
        cosine = unit @ F.normalize(self.prototypes, dim=1).t()  # (B, K)
        doubt = self.alpha * (1 - probability.gather(1, labels[:, None]))  # (B, 1)
        losses = []
        # false negatives attract, false positives repel
        for members, sign in ((true * (1 - predicted), 1), (predicted * (1 - true), -1)):
            centers = F.normalize(members.t() @ targets, dim=1)[labels]  # (K, D) -> (B, D)
            # the mean of an empty set is zero, and would still count with its cosine of 0
            exists = members.any(dim=0)[labels].to(unit)[:, None]  # (B, 1)
            margin = sign * (unit * centers).sum(dim=1, keepdim=True) - 1
            losses.append(F.cross_entropy(
                (cosine + true * doubt * exists * margin) / self.temperature, labels))
        return losses[0] + losses[1]

    @torch.no_grad()
    def _update(self, features: Tensor, hits: Tensor) -> None:
        count, total = hits.sum(dim=0)[:, None], hits.t() @ features  # (K, 1), (K, D)
        # all processes sum up, or each would keep prototypes of its own
        all_reduce(count)
        all_reduce(total)
        new = self.momentum * self.prototypes + (1 - self.momentum) * total / count.clamp(min=1)
        self.prototypes.copy_(torch.where(count > 0, new, self.prototypes))

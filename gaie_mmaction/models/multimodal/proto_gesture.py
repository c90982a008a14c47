"""RGB frames and skeleton heatmaps, refined by class prototypes."""
from typing import Any

import torch
from mmaction.registry import MODELS
from mmaction.utils import OptConfigType, SampleList
from mmengine.model import ModuleDict
from torch import Tensor

from .prototype_refinement import PrototypeRefinement
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

    def __init__(self,
                 *,
                 backbone: dict,
                 cls_head: dict,
                 refinement: dict | None = None,
                 refinement_weight: float = 0.2,
                 data_preprocessor: OptConfigType = None) -> None:
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

"""RGB and heat-maps of skeletons, refined by class prototypes."""
from typing import Any

import torch
from mmaction.registry import MODELS
from mmaction.utils import SampleList
from mmengine.model import ModuleDict
from torch import Tensor

from .prototype_refinement import PrototypeRefinement
from .rgb_pose_recognizer import RGBPoseRecognizer


@MODELS.register_module()
class ProtoGesture(RGBPoseRecognizer):
    """"Prototype Learning for Micro-gesture Classification", arXiv 2408.03097.

    From the paper: PoseConv3D with an RGB branch of 8 frames and a pose branch of 32 heat-maps,
    here :class:`CrossModalRGBPoseConv3D`, whose channels attend to each other; class prototypes,
    which calibrate ambiguous samples (:class:`PrototypeRefinement`). Chosen where it leaves it
    open: each branch has its classifier (MMAction2's ``RGBPoseHead``) and its prototypes, on
    features averaged over space and time; the prototypes' loss weighs 0.2, as in the authors'
    later code (PCAN); at test the branches' probabilities are averaged. The paper's 70.25 is
    the score of an ensemble of several networks.

    Args:
        cls_head (dict): Config of a ``RGBPoseHead`` with ``average_clips='prob'``.
        refinement (dict, optional): Arguments of :class:`PrototypeRefinement`, but for channels
            and classes, which are the head's. Defaults to None.
        refinement_weight (float): Of its loss. Defaults to 0.2.
        kwargs: As of ``MMRecognizer3D``: ``backbone``, ``data_preprocessor``.
    """

    def __init__(self,
                 *,
                 cls_head: dict,
                 refinement: dict | None = None,
                 refinement_weight: float = 0.2,
                 **kwargs: Any) -> None:
        super().__init__(cls_head=cls_head, **kwargs)
        self.refinement_weight = refinement_weight
        self.refinement = ModuleDict({
            name: PrototypeRefinement(channels, self.cls_head.num_classes, **(refinement or {}))
            for name, channels in zip(('rgb', 'pose'), self.cls_head.in_channels)})

    def loss(self, inputs: dict[str, Tensor], data_samples: SampleList, **kwargs: Any) -> dict:
        """Losses of a batch.

        Args:
            inputs (dict[str, Tensor]): ``imgs`` ``(B, 1, 3, T, H, W)`` and ``heatmap_imgs``
                ``(B, 1, V, k T, H / 4, W / 4)``.
            data_samples (list[ActionDataSample]): With their labels.

        Returns:
            dict: ``rgb_loss_cls``, ``pose_loss_cls``, ``rgb_loss_prototype``,
            ``pose_loss_prototype``, and the training accuracies.
        """
        features, _ = self.extract_feat(inputs)
        scores = self.scores(features)
        losses = self.cls_head.loss_by_feat(scores, data_samples)
        labels = torch.cat([sample.gt_label for sample in data_samples])
        for feature, (name, refine) in zip(features, self.refinement.items()):
            losses[f'{name}_loss_prototype'] = self.refinement_weight * refine(
                feature.mean(dim=(2, 3, 4)), scores[name], labels)
        return losses

"""RGB and heat-maps of skeletons, classified by the names of the classes."""
from typing import Any

from mmaction.models.recognizers.base import BaseRecognizer
from mmaction.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class VCLIP(BaseRecognizer):
    """"A multimodal micro-gesture classification model based on CLIP", MiGA-IJCAI 2024.

    CEUR-WS Vol-3848, 68.90 on iMiGUE as published. From its public descriptions: knowledge of CLIP
    is distilled, pose enters as 3D heat-maps, text features of the class names are used, and the
    modalities interact. All beyond that is a choice of ours: the video branch is any video
    backbone (GAIE-ViT in the config) instead of CLIP's image encoder, the pose branch is
    PoseC3D's, CLIP enters by its text features alone, which are computed once and stay fixed;
    projection, interaction and losses are those of :class:`VCLIPHead`.

    Args:
        backbone (dict): Config of the video backbone, whose features are ``(B, C)``.
        pose_backbone (dict): Config of the backbone of heat-maps, ``(B, C', T, H, W)``.
        kwargs: As of MMAction2's ``BaseRecognizer``: ``cls_head``, ``data_preprocessor``.
    """

    def __init__(self, *, backbone: dict, pose_backbone: dict, **kwargs: Any) -> None:
        super().__init__(backbone, **kwargs)
        self.pose_backbone = MODELS.build(pose_backbone)

    def extract_feat(self,
                     inputs: dict[str, Tensor],
                     stage: str = 'backbone',
                     **kwargs: Any) -> tuple:
        """Features of both branches, or logits.

        Args:
            inputs (dict[str, Tensor]): ``imgs`` ``(B, views, 3, T, H, W)`` and
                ``heatmap_imgs`` ``(B, views, V, T', H', W')``.
            stage (str): ``'backbone'``, or ``'head'`` for joint logits. Defaults to
                ``'backbone'``.

        Returns:
            tuple: Features or logits of ``B * views``, and an empty dict.
        """
        features = (self.backbone(inputs['imgs'].flatten(0, 1)),
                    self.pose_backbone(inputs['heatmap_imgs'].flatten(0, 1)))
        return (self.cls_head(features) if stage == 'head' else features), {}

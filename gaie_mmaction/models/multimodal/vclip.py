"""RGB frames and skeleton heatmaps, classified by the names of the classes."""
from mmaction.models.recognizers.base import BaseRecognizer
from mmaction.registry import MODELS
from mmaction.utils import OptConfigType, OptSampleList
from torch import Tensor


@MODELS.register_module()
class VCLIP(BaseRecognizer):
    """"A multimodal micro-gesture classification model based on CLIP", MiGA-IJCAI 2024.

    CEUR-WS Vol-3848; published top-1 on iMiGUE 68.90. From its public descriptions: distillation
    from CLIP, pose as 3D heatmaps, text features of the class names, interaction of modalities.
    Ours: a video backbone (GAIE-ViT in the config) instead of CLIP's image encoder, PoseC3D as
    the pose branch, CLIP through precomputed, frozen text features only; projections, interaction
    and losses as in :class:`VCLIPHead`.

    Args:
        backbone (dict): Config of the video backbone, with ``(B, C)`` features.
        pose_backbone (dict): Config of the heatmap backbone, with ``(B, C', T, H, W)`` features.
        cls_head (dict): Config of a :class:`VCLIPHead`.
        data_preprocessor (dict, optional): Same as ``BaseRecognizer``. Defaults to None.
    """

    def __init__(self, *, backbone: dict, pose_backbone: dict, cls_head: dict,
                 data_preprocessor: OptConfigType = None) -> None:
        super().__init__(backbone, cls_head, data_preprocessor=data_preprocessor)
        self.pose_backbone = MODELS.build(pose_backbone)

    def extract_feat(self,
                     inputs: dict[str, Tensor],
                     stage: str = 'backbone',
                     data_samples: OptSampleList = None,
                     test_mode: bool = False) -> tuple:
        """Extract the features of both branches, or the joint logits, of ``B * views`` clips.

        Args:
            inputs (dict[str, Tensor]): ``imgs`` ``(B, views, 3, T, H, W)`` and
                ``heatmap_imgs`` ``(B, views, V, T', H', W')``.
            stage (str): ``'backbone'``, or ``'head'`` for logits. Defaults to ``'backbone'``.
        """
        features = (self.backbone(inputs['imgs'].flatten(0, 1)),
                    self.pose_backbone(inputs['heatmap_imgs'].flatten(0, 1)))
        return (self.cls_head(features) if stage == 'head' else features), {}

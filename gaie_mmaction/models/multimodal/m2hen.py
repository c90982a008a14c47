"""Ensemble of a video ViT and graph convolutions over several temporal scales.

Shapes: B batch times views, C channels, T steps of the finest scale, V joints, M people.
"""
from collections.abc import Sequence

import torch.nn.functional as F
from mmaction.registry import MODELS
from mmaction.utils import OptConfigType, OptSampleList
from mmengine.model import ModuleList
from torch import Tensor, nn

from .rgb_pose_recognizer import RGBPoseRecognizer


class MultiScaleResidual(nn.Module):
    """Add each coarser scale to the next finer one, ``fine + GELU(norm(conv(coarse)))``.

    The coarse sequence is first interpolated linearly to the fine one's length.
    """

    def __init__(self, channels: int, num_scales: int) -> None:
        super().__init__()
        # GroupNorm: batches of a few clips are too small for BatchNorm
        self.connections = nn.ModuleList(
            nn.Sequential(nn.Conv1d(channels, channels, 3, padding=1), nn.GroupNorm(1, channels),
                          nn.GELU()) for _ in range(num_scales - 1))

    def forward(self, sequences: list[Tensor]) -> Tensor:
        """``(B, C, T_s)`` for each scale, the finest first -> ``(B, C, T)``."""
        joined = sequences[-1]
        for fine, connect in zip(sequences[-2::-1], reversed(self.connections)):
            coarse = F.interpolate(joined, size=fine.shape[2], mode='linear', align_corners=False)
            joined = fine + connect(coarse)
        return joined


@MODELS.register_module()
class M2HEN(RGBPoseRecognizer):
    """Multi-scale heterogeneous ensemble network.

    "Multi-modal Micro-gesture Classification via Multi-scale Heterogeneous Ensemble Network",
    MiGA-IJCAI 2024, CEUR-WS Vol-3848; published top-1 on iMiGUE 70.19. From its abstract: two
    models of different architectures, multi-scale residual connections inside them, and training
    by data groups against class imbalance (:class:`DataGroupSampler`). Ours: the models are
    GAIE-ViT on frames and AAGCN on joints; scale s is one AAGCN on every s-th skeleton, and the
    ViT's features averaged over space and s steps; a :class:`MultiScaleResidual` joins the scales
    of each model; both are trained jointly with a cross-entropy each, and the ensemble averages
    their probabilities.

    Args:
        backbone (dict): Config of a ``GAIEVisionTransformer`` with ``return_feat_map=True``.
        graph_backbone (dict): Config of a graph network, ``(B, M, C, T, V)`` features, built once
            per scale.
        cls_head (dict): Config of an ``RGBPoseHead`` with ``average_clips='prob'``, whose
            ``in_channels`` are those of both backbones.
        scales (Sequence[int]): Temporal strides, ascending from 1. Defaults to (1, 2, 4).
        data_preprocessor (dict, optional): Same as ``BaseRecognizer``. Defaults to None.
    """

    def __init__(self, *, backbone: dict, graph_backbone: dict, cls_head: dict,
                 scales: Sequence[int] = (1, 2, 4),
                 data_preprocessor: OptConfigType = None) -> None:
        super().__init__(backbone, cls_head, data_preprocessor=data_preprocessor)
        if list(scales) != sorted(set(scales)) or not scales or scales[0] != 1:
            raise ValueError(f'scales must ascend from 1, but got {scales}')
        if not getattr(self.backbone, 'return_feat_map', False) or self.backbone.fc_norm is None:
            raise ValueError('backbone must be a GAIEVisionTransformer with return_feat_map=True '
                             'and use_mean_pooling=True')
        self.scales = tuple(scales)
        self.graph_backbone = ModuleList(MODELS.build(graph_backbone) for _ in scales)
        video, graph = self.cls_head.in_channels
        self.join_video = MultiScaleResidual(video, len(scales))
        self.join_graph = MultiScaleResidual(graph, len(scales))

    def extract_feat(self, inputs: dict[str, Tensor], stage: str = 'backbone',
                     data_samples: OptSampleList = None, test_mode: bool = False) -> tuple:
        """Features of both models, ``(B, C, T, 1, 1)``, or with ``stage='head'`` their logits.

        Of ``imgs`` ``(batch, views, 3, frames, H, W)`` and ``keypoint``
        ``(batch, views, M, skeletons, V, 3)``.
        """
        video = self.backbone(inputs['imgs'].flatten(0, 1)).mean(dim=(3, 4))  # (B, C, T)
        # the backbone norms only what it pools itself, not a feature map
        video = self.backbone.fc_norm(video.transpose(1, 2)).transpose(1, 2)
        video = self.join_video([F.avg_pool1d(video, scale, ceil_mode=True)
                                 for scale in self.scales])
        joints = inputs['keypoint'].flatten(0, 1)  # (B, M, skeletons, V, 3)
        # (B, M, C, T, V) -> (B, C, T)
        graph = self.join_graph([network(joints[:, :, ::scale]).mean(dim=(1, 4))
                                 for scale, network in zip(self.scales, self.graph_backbone)])
        # RGBPoseHead pools three axes
        features = video[..., None, None], graph[..., None, None]
        return (self.cls_head(features) if stage == 'head' else features), {}

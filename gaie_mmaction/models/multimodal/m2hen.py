"""An ensemble of a video ViT and graph convolutions, over several scales of time."""
from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from mmaction.registry import MODELS
from mmengine.model import ModuleList
from torch import Tensor, nn

from .rgb_pose_recognizer import RGBPoseRecognizer


class MultiScaleResidual(nn.Module):
    """Add each coarser scale of time to the next finer one.

    From the coarsest on: ``fine + GELU(norm(conv(coarse)))``, with a convolution over three
    steps and the coarse sequence interpolated linearly to the fine one's length.

    Letters: B batch, C channels, T steps of the finest scale.

    Args:
        channels (int): C.
        num_scales (int): Sequences, at least 1.
    """

    def __init__(self, channels: int, num_scales: int) -> None:
        super().__init__()
        self.connections = nn.ModuleList(
            nn.Sequential(nn.Conv1d(channels, channels, 3, padding=1), nn.GroupNorm(1, channels),
                          nn.GELU()) for _ in range(num_scales - 1))

    def forward(self, sequences: list[Tensor]) -> Tensor:
        """Join.

        Args:
            sequences (list[Tensor]): ``(B, C, T_s)`` each, the finest first.

        Returns:
            Tensor: ``(B, C, T)``.
        """
        joined = sequences[-1]
        for fine, connect in zip(sequences[-2::-1], reversed(self.connections)):
            coarse = F.interpolate(joined, size=fine.shape[2], mode='linear', align_corners=False)
            joined = fine + connect(coarse)
        return joined


@MODELS.register_module()
class M2HEN(RGBPoseRecognizer):
    """Multi-scale heterogeneous ensemble network, MiGA-IJCAI 2024, CEUR-WS Vol-3848.

    "Multi-modal Micro-gesture Classification via Multi-scale Heterogeneous Ensemble Network",
    70.19 on iMiGUE as published. From its abstract: two models of different architecture,
    multi-scale residual connections inside them, a training by data groups against unequal
    classes. All beyond the abstract is a choice of ours: the two are GAIE-ViT on frames and AAGCN
    on joints. There is one AAGCN a scale, on every s-th skeleton; the ViT's features are averaged
    over space and over s steps of time. Either model's scales are joined by a
    :class:`MultiScaleResidual` and averaged over time for its own classifier (MMAction2's
    ``RGBPoseHead``). Both are trained together, each by its cross-entropy; the ensemble is the
    mean of their probabilities. For the data groups see :class:`DataGroupSampler`.

    Args:
        backbone (dict): Config of a ``GAIEVisionTransformer`` with ``return_feat_map=True``.
        graph_backbone (dict): Config of a graph network, ``(B, M, C, T, V)``, built once a scale.
        cls_head (dict): Config of a ``RGBPoseHead`` with ``average_clips='prob'``, whose
            ``in_channels`` are those of both backbones.
        scales (Sequence[int]): Steps of time, ascending from 1. Defaults to (1, 2, 4).
        kwargs: As of MMAction2's ``MMRecognizer3D``: ``data_preprocessor``.

    Raises:
        ValueError: If ``scales`` are others, or the backbone gives no map of features.
    """

    def __init__(self,
                 *,
                 backbone: dict,
                 graph_backbone: dict,
                 cls_head: dict,
                 scales: Sequence[int] = (1, 2, 4),
                 **kwargs: Any) -> None:
        super().__init__(backbone=backbone, cls_head=cls_head, **kwargs)
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

    def extract_feat(self,
                     inputs: dict[str, Tensor],
                     stage: str = 'backbone',
                     **kwargs: Any) -> tuple:
        """Features of both models, or logits.

        Args:
            inputs (dict[str, Tensor]): ``imgs`` ``(B, views, 3, T, H, W)`` and ``keypoint``
                ``(B, views, M, T', V, 3)``.
            stage (str): ``'backbone'``, or ``'head'`` for logits. Defaults to ``'backbone'``.

        Returns:
            tuple: Features ``(B * views, C, T, 1, 1)`` of both, or a dict of their logits;
            and an empty dict.
        """
        video = self.backbone(inputs['imgs'].flatten(0, 1)).mean(dim=(3, 4))  # (B, C, T)
        video = self.backbone.fc_norm(video.transpose(1, 2)).transpose(1, 2)
        video = self.join_video([F.avg_pool1d(video, scale, ceil_mode=True)
                                 for scale in self.scales])
        joints = inputs['keypoint'].flatten(0, 1)  # (B, M, T, V, 3)
        # (B, M, C, T, V) -> (B, C, T)
        graph = self.join_graph([network(joints[:, :, ::scale]).mean(dim=(1, 4))
                                 for scale, network in zip(self.scales, self.graph_backbone)])
        # the head averages over three axes
        features = video[..., None, None], graph[..., None, None]
        return (self.cls_head(features) if stage == 'head' else features), {}

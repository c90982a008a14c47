"""One-stage detector of gestures in feature sequences ("ActionFormer", ECCV 2022).

Shapes: B batch, T steps, C channels, P points of all levels, K classes.
"""
import math
from typing import Any

import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from mmaction.utils import OptConfigType
from mmengine.model import BaseModel, ModuleList
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ...ops.temporal_detection import assign_targets, diou_loss, focal_loss, soft_nms
from .temporal_pyramid import TemporalConv, TemporalPyramid, level_strides

PRIOR = .01  # initial score of a class at a point: most points are background


class DetectionHead(nn.Module):
    """Three convolutions, shared by all levels; ``bias`` is the initial one of the outputs."""

    def __init__(self, embed_dims: int, num_outputs: int, *, bias: float = 0.) -> None:
        super().__init__()
        self.convs = ModuleList(TemporalConv(embed_dims, embed_dims) for _ in range(2))
        self.norms = ModuleList(nn.LayerNorm(embed_dims) for _ in range(2))
        self.out = TemporalConv(embed_dims, num_outputs)
        nn.init.constant_(self.out.conv.bias, bias)  # type: ignore[arg-type]  # it has a bias

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """``(B, T, C) -> (B, T, num_outputs)``."""
        for conv, norm in zip(self.convs, self.norms):
            x = F.relu(norm(conv(x, valid))) * valid[..., None]
        return self.out(x, valid)


@MODELS.register_module()
class TemporalDetector(BaseModel):
    """Predict classes and both ends of a gesture at each point of a temporal pyramid.

    A data sample carries ``frame_stride``, ``first_frame`` (the frame at step 0) and
    ``num_frames``, in training also ``gt_instances`` with ``segments`` ``(n, 2)`` in frames, both
    ends included, and ``labels``. It gets ``pred_segments``: ``segments``, ``labels``, ``scores``.

    Args:
        num_classes (int): K, without background.
        backbone (dict): Arguments of :class:`TemporalPyramid`.
        center_radius (float): Only points within this many strides of a segment's centre are
            positive. Defaults to 1.5.
        base_range (float): Level l finds gestures whose farther end is [1/2, 1) times ``base_range
            * 2^l`` steps away; the lowest level also all shorter ones, the highest all longer
            ones. Defaults to 8.
        loss_weight (float): Weight of the regression loss. Defaults to 1.
        test_cfg (dict, optional): ``sigma``, ``min_score`` and ``max_num`` of :func:`soft_nms`;
            ``pre_nms``, the number of candidates per video and class. Defaults to None: 0.5, 0.01,
            1000 and 1000.
        data_preprocessor (dict, optional): Defaults to None, mmengine's.
        init_cfg (dict, optional): Weight initialization. Defaults to None.
    """

    def __init__(self, *, num_classes: int, backbone: dict, center_radius: float = 1.5,
                 base_range: float = 8., loss_weight: float = 1., test_cfg: OptConfigType = None,
                 data_preprocessor: OptConfigType = None, init_cfg: OptConfigType = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.num_classes = num_classes
        self.backbone = TemporalPyramid(**backbone)
        self.center_radius = center_radius
        self.base_range = base_range
        self.loss_weight = loss_weight
        self.test_cfg: dict[str, Any] = dict(sigma=.5, min_score=.01, max_num=1000, pre_nms=1000)
        if unknown := set(test_cfg or {}) - set(self.test_cfg):
            raise ValueError(f'test_cfg has {", ".join(self.test_cfg)}, but got {unknown}')
        self.test_cfg.update(test_cfg or {})
        dims = self.backbone.embed_dims
        self.cls_head = DetectionHead(
            dims, num_classes, bias=math.log(PRIOR / (1 - PRIOR)))
        self.reg_head = DetectionHead(dims, 2)
        self.scales = nn.Parameter(torch.ones(self.backbone.num_levels))

    def forward(self, inputs: list[Tensor], data_samples: list | None = None,
                mode: str = 'tensor') -> dict | list | tuple:
        """Losses (``'loss'``), data samples (``'predict'``), or logits and segments (``'tensor'``).

        Args:
            inputs (list[Tensor]): One sequence ``(T, C)`` per video.
            data_samples (list[ActionDataSample], optional): One per sequence. Defaults to None.
            mode (str): Defaults to ``'tensor'``.
        """
        logits, segments, points, strides, valid = self._detect(inputs)
        if mode == 'tensor':
            return logits, segments
        assert data_samples is not None
        if mode == 'loss':
            return self._loss(logits, segments, points, strides, valid, data_samples)
        for k, sample in enumerate(data_samples):
            sample.pred_segments = self._decode(logits[k], segments[k], valid[k], sample)
        return data_samples

    def _detect(self, inputs: list[Tensor]) -> tuple[Tensor, ...]:
        """Logits ``(B, P, K)``, segments ``(B, P, 2)`` in steps, points, strides, validity."""
        lengths = torch.tensor([len(x) for x in inputs], device=inputs[0].device)
        x = pad_sequence([sequence.float() for sequence in inputs], batch_first=True)
        # each level halves the number of steps
        padding = -x.shape[1] % 2**(self.backbone.num_levels - 1)
        x = F.pad(x, (0, 0, 0, padding))
        valid = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
        levels = self.backbone(x, valid)
        points, strides = level_strides(levels)
        logits = torch.cat([self.cls_head(*level) for level in levels], dim=1)
        distances = torch.cat([F.softplus(scale * self.reg_head(*level))
                               for scale, level in zip(self.scales, levels)], dim=1)
        reach = distances * strides[:, None]
        segments = torch.stack([points - reach[..., 0], points + reach[..., 1]], dim=-1)
        return logits, segments, points, strides, torch.cat([mask for _, mask in levels], dim=1)

    def _loss(self, logits: Tensor, segments: Tensor, points: Tensor, strides: Tensor,
              valid: Tensor, data_samples: list) -> dict[str, Tensor]:
        ranges = torch.stack([self.base_range * strides / 2, self.base_range * strides], dim=1)
        ranges[strides == 1, 0] = 0
        ranges[strides == strides.max(), 1] = torch.inf
        targets, positives, boxes = torch.zeros_like(logits), [], []
        for k, sample in enumerate(data_samples):
            true, labels = to_steps(sample), sample.gt_instances.labels
            index = assign_targets(points, strides, ranges, true, self.center_radius)
            positive = (index >= 0) & valid[k]
            targets[k, positive, labels[index[positive]]] = 1
            positives.append(positive)
            boxes.append(true[index[positive]])
        positive = torch.stack(positives)
        number = positive.sum().clamp(min=1)
        focal = focal_loss(logits[valid], targets[valid]).sum()
        regression = diou_loss(segments[positive], torch.cat(boxes)).sum()
        return dict(loss_cls=focal / number, loss_reg=self.loss_weight * regression / number)

    def _decode(self, logits: Tensor, segments: Tensor, valid: Tensor, sample: Any
                ) -> InstanceData:
        cfg = self.test_cfg
        scores, found = logits[valid].sigmoid(), []
        segments = to_frames(segments[valid], sample)
        for label in range(self.num_classes):
            best = scores[:, label].topk(min(cfg['pre_nms'], len(scores))).indices
            best = best[scores[best, label] >= cfg['min_score']]
            # times are [first, last + 1) here
            kept, values = soft_nms(segments[best], scores[best, label], cfg['sigma'],
                                    cfg['min_score'], cfg['max_num'])
            found.append((segments[best[kept]], torch.full_like(kept, label), values))
        times, labels, values = map(torch.cat, zip(*found))
        order = values.argsort(descending=True, stable=True)[:cfg['max_num']]
        first = times[order, 0].round()
        last = torch.maximum(times[order, 1].round() - 1, first)
        return InstanceData(segments=torch.stack([first, last], dim=1).long(),
                            labels=labels[order], scores=values[order])


def to_steps(sample: Any) -> Tensor:
    """True segments of a data sample, ``(n, 2)``, in steps."""
    segments = sample.gt_instances.segments.float()
    # a frame reaches half a frame to either side of its time
    borders = segments + segments.new_tensor([-.5, .5])
    return (borders - sample.first_frame) / sample.frame_stride


def to_frames(segments: Tensor, sample: Any) -> Tensor:
    """Convert segments in steps to [first frame, last frame + 1), clipped to the video."""
    times = segments * sample.frame_stride + sample.first_frame + .5
    return times.clamp(0, sample.num_frames)

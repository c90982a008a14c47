"""Targets, losses and suppression of temporal detection.

"ActionFormer: Localizing Moments of Actions with Transformers", ECCV 2022, sections 3.3 and 3.4;
"Soft-NMS", ICCV 2017. Segments are (start, end) in any unit of time, start < end.

Shapes: P points in time, S segments.
"""
import torch
import torch.nn.functional as F
from torch import Tensor

FOCAL_ALPHA, FOCAL_GAMMA = .25, 2.  # RetinaNet's


def assign_targets(points: Tensor, strides: Tensor, ranges: Tensor, segments: Tensor,
                   radius: float = 1.5) -> Tensor:
    """Assign each point of a pyramid the segment that it is to find.

    A point is positive for a segment if it lies inside, at most ``radius`` strides from the
    centre, and the distance to the farther end is in the range of the point's level. Of several
    segments it takes the shortest, then the earlier one.

    Args:
        points (Tensor): ``(P,)``, times.
        strides (Tensor): ``(P,)``, distance between neighbouring points of the level.
        ranges (Tensor): ``(P, 2)``, [low, high) of the distances that the point's level finds.
        segments (Tensor): ``(S, 2)``.
        radius (float): Radius of centre sampling, in strides. Defaults to 1.5.

    Returns:
        Tensor: Index of the segment, ``(P,)``, -1 for background.
    """
    if not len(segments):
        return points.new_full(points.shape, -1, dtype=torch.long)
    start, end = segments.T
    distances = torch.stack([points[:, None] - start, end - points[:, None]], dim=-1)  # (P, S, 2)
    farther = distances.amax(dim=-1)
    centered = (points[:, None] - (start + end) / 2).abs() <= radius * strides[:, None]
    positive = centered & (distances.amin(dim=-1) > 0)
    positive &= (farther >= ranges[:, :1]) & (farther < ranges[:, 1:])
    # argmin takes the first of equals
    index = torch.where(positive, end - start, torch.inf).argmin(dim=1)
    return torch.where(positive.any(dim=1), index, -1)


def temporal_iou(segments: Tensor, others: Tensor) -> Tensor:
    """IoU of segments, ``(..., 2)`` and ``(..., 2)`` that broadcast."""
    inner = torch.minimum(segments[..., 1], others[..., 1]) - torch.maximum(
        segments[..., 0], others[..., 0])
    lengths = segments[..., 1] - segments[..., 0] + others[..., 1] - others[..., 0]
    inner = inner.clamp(min=0)
    return inner / (lengths - inner).clamp(min=1e-8)


def diou_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """1 - IoU + (distance of the centres / length of the hull)², ``(S, 2), (S, 2) -> (S,)``."""
    hull = torch.maximum(predicted[:, 1], target[:, 1]) - torch.minimum(
        predicted[:, 0], target[:, 0])
    shift = (predicted.sum(dim=1) - target.sum(dim=1)) / 2
    return 1 - temporal_iou(predicted, target) + (shift / hull.clamp(min=1e-8)).square()


def focal_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary focal loss ("RetinaNet", ICCV 2017) of each element; ``targets`` are 0 or 1."""
    wrong = (targets - logits.sigmoid()).abs()
    weight = torch.where(targets > 0, FOCAL_ALPHA, 1 - FOCAL_ALPHA)
    return weight * wrong**FOCAL_GAMMA * F.binary_cross_entropy_with_logits(
        logits, targets, reduction='none')


def soft_nms(segments: Tensor, scores: Tensor, sigma: float = .5, min_score: float = .001,
             max_num: int = 200) -> tuple[Tensor, Tensor]:
    """Gaussian soft-NMS of one class: a score falls by exp(-IoU² / sigma) for each better segment.

    Args:
        segments (Tensor): ``(S, 2)``.
        scores (Tensor): ``(S,)``, in [0, 1].
        sigma (float): The smaller, the stronger the suppression. Defaults to 0.5.
        min_score (float): Segments whose score falls below it are dropped. Defaults to 0.001.
        max_num (int): Largest number of segments kept. Defaults to 200.

    Returns:
        tuple[Tensor, Tensor]: Index of the segments kept, best first, and their new scores.
    """
    scores = scores.clone()
    kept: list[Tensor] = []
    values: list[Tensor] = []
    while len(kept) < min(max_num, len(scores)):
        best = scores.argmax()
        value = scores[best].clone()
        if value < min_score:
            break
        kept.append(best)
        values.append(value)
        scores *= torch.exp(-temporal_iou(segments[best], segments).square() / sigma)
        scores[best] = -1  # taken
    if not kept:
        return scores.new_zeros(0, dtype=torch.long), scores.new_zeros(0)
    return torch.stack(kept), torch.stack(values)

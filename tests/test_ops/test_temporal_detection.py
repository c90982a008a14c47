"""Targets, losses, suppression and local attention against plain loops."""
import pytest
import torch
from reference import detection_loops as loops

from gaie_mmaction.ops.local_attention import local_attention
from gaie_mmaction.ops.temporal_detection import (
    assign_targets,
    diou_loss,
    focal_loss,
    soft_nms,
    temporal_iou,
)


def random_segments(generator, number, length=60):
    start = torch.rand(number, generator=generator, dtype=torch.float64) * length
    return torch.stack([start, start + .5 + 20 * torch.rand(
        number, generator=generator, dtype=torch.float64)], dim=1)


@pytest.mark.parametrize('seed', range(20))
def test_targets(seed):
    generator = torch.Generator().manual_seed(seed)
    segments = random_segments(generator, seed % 7).round(decimals=1)
    strides = torch.tensor([1.] * 64 + [2.] * 32 + [4.] * 16, dtype=torch.float64)
    points = torch.cat([stride * torch.arange(64 // stride) for stride in (1, 2, 4)]).double()
    ranges = torch.stack([3 * strides * (strides > 1), 6 * strides], dim=1)
    ranges[strides == 4, 1] = torch.inf
    index = assign_targets(points, strides, ranges, segments, radius=1.5)
    expected = loops.assign(points.tolist(), strides.tolist(), ranges.tolist(), segments.tolist(),
                            1.5)
    assert index.tolist() == expected
    assert seed % 7 == 0 or (index >= 0).any()


def test_losses():
    generator = torch.Generator().manual_seed(0)
    one, other = random_segments(generator, 200), random_segments(generator, 200)
    pairs = list(zip(one.tolist(), other.tolist()))
    assert temporal_iou(one, other).tolist() == pytest.approx([loops.iou(*pair) for pair in pairs])
    assert diou_loss(one, other).tolist() == pytest.approx([loops.diou(*pair) for pair in pairs])
    assert diou_loss(one, one).tolist() == pytest.approx([0] * 200, abs=1e-9)
    logits, targets = torch.randn(50, generator=generator), torch.arange(50) % 2
    p = logits.sigmoid()
    expected = torch.where(targets == 1, -.25 * (1 - p)**2 * p.log(),
                           -.75 * p**2 * (1 - p).log())
    torch.testing.assert_close(focal_loss(logits, targets.float()), expected)


@pytest.mark.parametrize('seed', range(10))
def test_soft_nms(seed):
    generator = torch.Generator().manual_seed(seed)
    segments = random_segments(generator, 5 * seed)
    scores = torch.rand(5 * seed, generator=generator, dtype=torch.float64)
    kept, values = soft_nms(segments, scores, .3, .1, 20)
    expected = loops.suppress(segments.tolist(), scores.tolist(), .3, .1, 20)
    assert kept.tolist() == [k for k, _ in expected]
    assert values.tolist() == pytest.approx([score for _, score in expected])


@pytest.mark.parametrize('steps, radius', [(1, 1), (7, 3), (12, 4), (9, 20)])
def test_local_attention(steps, radius):
    generator = torch.Generator().manual_seed(steps)
    q, k, v = (torch.randn(2, 3, steps, 4, generator=generator, dtype=torch.float64)
               for _ in range(3))
    valid = torch.rand(2, steps, generator=generator) < .6
    out = local_attention(q, k, v, valid, radius)
    for batch in range(2):
        for head in range(3):
            expected = loops.attend(*(x[batch, head].tolist() for x in (q, k, v)),
                                    valid[batch].tolist(), radius)
            torch.testing.assert_close(out[batch, head], out.new_tensor(expected))

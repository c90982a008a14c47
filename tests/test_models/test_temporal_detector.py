"""The temporal detector: what it learns, padding, long sequences, and both directions of time."""
import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.structures import InstanceData
from small_model import randomize

from gaie_mmaction.evaluation import best_threshold
from gaie_mmaction.models.localizers.temporal_detector import to_frames, to_steps


def make(**options):
    torch.manual_seed(0)
    return MODELS.build(dict(type='TemporalDetector', num_classes=2, backbone=dict(
        in_channels=3, embed_dims=32, num_heads=2, num_levels=3, radius=4), **options))


def make_sequence(rng, steps=96, stride=2.):
    """Noise, and a plateau on one channel for each class; frames are ``stride`` a step."""
    x, segments, labels, start = rng.normal(0, .3, (steps, 3)), [], [], 5
    while start + 25 < steps:
        length, label = int(rng.integers(5, 18)), int(rng.integers(2))
        x[start:start + length, label] += 2
        segments.append((start * stride, (start + length) * stride - 1))
        labels.append(label)
        start += length + int(rng.integers(5, 15))
    sample = ActionDataSample(metainfo=dict(
        video_name=str(rng.integers(1e9)), first_frame=stride / 2 - .5, frame_stride=stride,
        num_frames=int(steps * stride)))
    sample.gt_instances = InstanceData(segments=torch.tensor(segments).reshape(-1, 2),
                                       labels=torch.tensor(labels, dtype=torch.long))
    return torch.tensor(x, dtype=torch.float32), sample


def as_segments(sample, part):
    instances = sample.get(part)
    return [(sample.video_name, *ends, *rest) for ends, *rest in zip(
        instances.segments.tolist(), instances.labels.tolist(),
        *([instances.scores.tolist()] if 'scores' in instances else []))]


def test_learns_plateaus():
    rng, model = np.random.default_rng(0), make()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(60):
        inputs, samples = zip(*(make_sequence(rng) for _ in range(4)))
        losses = model(list(inputs), list(samples), mode='loss')
        assert set(losses) == {'loss_cls', 'loss_reg'}
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    inputs, samples = zip(*(make_sequence(rng, steps) for steps in (50, 96, 120, 200)))
    with torch.no_grad():
        found = model.eval()(list(inputs), list(samples), mode='predict')
    predicted = sum((as_segments(sample, 'pred_segments') for sample in found), [])
    true = sum((as_segments(sample, 'gt_instances') for sample in found), [])
    assert best_threshold(predicted, true, .7)[1] > .9
    assert all(0 <= start <= end < 400 for _, start, end, *_ in predicted)


def test_every_parameter_gets_a_gradient():
    model = make()
    x, sample = make_sequence(np.random.default_rng(1), 200)
    sum(model([x], [sample], mode='loss').values()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_without_segments():
    """A sequence of background alone is a finite loss."""
    x, sample = make_sequence(np.random.default_rng(1), 20)
    assert len(sample.gt_instances) == 0
    losses = make()([x], [sample], mode='loss')
    assert losses['loss_reg'] == 0 and 0 < losses['loss_cls'] < 10


def test_padding_changes_nothing():
    # trained norms have biases, which those of a new model lack
    model = randomize(make()).eval()
    short, long = (torch.randn(steps, 3) for steps in (37, 96))
    logits, segments = model([short])
    both_logits, both_segments = model([short, long])
    # the points of the levels: 40, 20 and 10 of the short one, of which 37, 19 and 10 are valid
    for begin, valid, both_begin in ((0, 37, 0), (40, 19, 96), (60, 10, 144)):
        torch.testing.assert_close(both_logits[0, both_begin:both_begin + valid],
                                   logits[0, begin:begin + valid])
        torch.testing.assert_close(both_segments[0, both_begin:both_begin + valid],
                                   segments[0, begin:begin + valid])


def test_frames_and_steps_are_inverse():
    _, sample = make_sequence(np.random.default_rng(2), stride=3.)
    back = to_frames(to_steps(sample), sample) - torch.tensor([0., 1.])
    torch.testing.assert_close(back, sample.gt_instances.segments.float())


def test_unknown_test_cfg():
    with pytest.raises(ValueError, match="sigma, .*but got {'sgma'}"):
        make(test_cfg=dict(sgma=1))

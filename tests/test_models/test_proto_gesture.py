"""Prototypes against plain loops, channel attention against upstream's network."""
import copy
import math

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmengine.runner import load_checkpoint
from reference.gaie_loops import cosine, softmax
from small_model import make_multimodal_batch, narrow_multimodal

from gaie_mmaction.models.multimodal import PrototypeRefinement


def loops(features, scores, labels, prototypes, momentum, temperature, alpha):
    """The loss and the new prototypes in float64, sample by sample."""
    samples, classes = range(len(features)), range(len(prototypes))
    predicted = [int(np.argmax(row)) for row in scores]
    new = [row.copy() for row in prototypes]
    for k in classes:
        hits = [features[i] for i in samples if labels[i] == k == predicted[i]]
        if hits:
            new[k] = momentum * prototypes[k] + (1 - momentum) * sum(hits) / len(hits)
    total = 0
    for i in samples:
        y = labels[i]
        doubt = alpha * (1 - softmax(scores[i])[y])
        missed = [features[j] for j in samples if labels[j] == y != predicted[j]]
        mistaken = [features[j] for j in samples if predicted[j] == y != labels[j]]
        for extra in (doubt * (cosine(features[i], sum(missed)) - 1) if missed else 0,
                      -doubt * (cosine(features[i], sum(mistaken)) + 1) if mistaken else 0):
            logits = [(cosine(features[i], new[k]) + (extra if k == y else 0)) / temperature
                      for k in classes]
            total -= math.log(softmax(logits)[y])
    return total / len(features), np.array(new)


@pytest.mark.parametrize('seed', range(5))
def test_refinement_equals_plain_loops(seed):
    torch.manual_seed(seed)
    settings = dict(momentum=.8, temperature=.2, alpha=.5)
    module = PrototypeRefinement(6, 4, channels=5, **settings).double()
    features, labels = torch.randn(12, 6).double(), torch.randint(4, (12, ))
    scores = 2 * torch.randn(12, 4).double()
    scores[:4] += 4 * torch.eye(4)[labels[:4]]
    expected, prototypes = loops(
        module.project(features).detach().numpy(), scores.numpy(), labels.tolist(),
        module.prototypes.numpy().copy(), **settings)
    assert module(features, scores, labels).item() == pytest.approx(expected, rel=1e-10)
    module.eval()
    module(features, scores, labels)  # which moves nothing
    np.testing.assert_allclose(module.state_dict()['prototypes'], prototypes, rtol=1e-10)
    assert 'prototypes' not in dict(module.named_parameters())


@pytest.mark.parametrize('scores, labels, sign', [
    ([[.1, 0], [0., 1]], [0, 0], -1),  # the other sample is of the same class, and missed
    ([[.1, 0], [1., 0]], [0, 1], 1)])  # it is of class 1, and mistaken for class 0
def test_ambiguous_samples_are_pulled_and_pushed(scores, labels, sign):
    """The slope of the loss towards another sample, by the ambiguous terms alone."""
    module = PrototypeRefinement(2, 2, channels=2, momentum=0, temperature=1.).eval()
    module.project.weight.data, module.project.bias.data = torch.eye(2), torch.zeros(2)
    module.prototypes.copy_(torch.tensor([[1., 0], [-1, 0]]))
    slopes = []
    for module.alpha in (0., .5):
        features = torch.tensor([[1., 0], [0., 1]], requires_grad=True)
        module(features, torch.tensor(scores), torch.tensor(labels)).backward()
        slopes.append(features.grad[0, 1].item())
    assert slopes[0] == pytest.approx(0, abs=1e-6) and sign * slopes[1] > 1e-3


def test_processes_share_what_moves_the_prototypes(monkeypatch):
    """A part of the batch each, as a whole batch in one process."""
    start = PrototypeRefinement(6, 4, channels=5)
    features, labels = torch.randn(12, 6), torch.arange(12) % 4
    scores = 3 * torch.eye(4)[labels] + torch.randn(12, 4)
    place = 'gaie_mmaction.models.multimodal.proto_gesture.all_reduce'
    whole, first, second = (copy.deepcopy(start) for _ in range(3))
    whole(features, scores, labels)
    sums = []
    monkeypatch.setattr(place, lambda values: sums.append(values.clone()))
    second(features[5:], scores[5:], labels[5:])
    monkeypatch.setattr(place, lambda values: values.add_(sums.pop(0)))
    first(features[:5], scores[:5], labels[:5])
    torch.testing.assert_close(first.prototypes, whole.prototypes)
    assert not torch.allclose(second.prototypes, whole.prototypes)


def test_mixed_precision_changes_the_projection_alone():
    module = PrototypeRefinement(6, 4, channels=5)
    half = copy.deepcopy(module)
    features, scores, labels = torch.randn(8, 6), torch.randn(8, 4), torch.randint(4, (8, ))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found, projected = half(features, scores, labels), half.project(features).float()
    assert found.dtype == torch.float32 and half.prototypes.dtype == torch.float32
    module.project.register_forward_hook(lambda *args: projected)
    torch.testing.assert_close(module(features, scores, labels), found)


@pytest.mark.parametrize('name, value', [('momentum', 1.), ('temperature', 0.)])
def test_wrong_settings(name, value):
    with pytest.raises(ValueError, match=f'{name} must be'):
        PrototypeRefinement(4, 3, **{name: value})


@pytest.fixture
def cfg(root):
    return narrow_multimodal(root, 'protogesture')


def test_starts_as_upstreams_network(cfg):
    ours = MODELS.build(cfg.backbone)
    ours.init_weights()
    upstream = MODELS.build(dict(copy.deepcopy(cfg.backbone), type='RGBPoseConv3D')).eval()
    upstream.load_state_dict({key: value for key, value in ours.state_dict().items()
                              if not key.startswith('attention')})
    imgs, maps = torch.randn(2, 3, 2, 32, 32), torch.rand(2, 22, 8, 8, 8)
    for found, expected in zip(ours.eval()(imgs, maps), upstream(imgs, maps)):
        torch.testing.assert_close(found, expected)
    for layer in ours.attention[0].back.values():
        torch.nn.init.normal_(layer.weight)
    assert not torch.allclose(ours(imgs, maps)[0], upstream(imgs, maps)[0])


def test_attention_equals_plain_loops(cfg):
    module = MODELS.build(cfg.backbone).attention[0].double()
    for layer in module.back.values():
        torch.nn.init.normal_(layer.weight)
    inputs = {name: torch.randn(1, module.back[name].out_channels, *size).double()
              for name, size in (('rgb', (2, 3, 3)), ('pose', (8, 2, 2)))}
    with torch.no_grad():
        found = dict(zip(inputs, module(**inputs)))
        shared = {name: module.to_shared[name](x).mean(dim=(3, 4))[0] for name, x in inputs.items()}
        for name, other in (('rgb', 'pose'), ('pose', 'rgb')):
            query, key, value = (layer[which](shared[which]) for layer, which in (
                (module.query, name), (module.key, other), (module.value, other)))
            mixed = torch.zeros_like(query)
            for i in range(len(query)):
                weights = softmax([float(query[i] @ row) / math.sqrt(2) for row in key])
                mixed[i] = sum(weight * row for weight, row in zip(weights, value))
            gate, x = module.back[name](mixed), inputs[name]
            for t in range(x.shape[2]):
                expected = x[0, :, t] * (1 + gate[:, t * 2 // x.shape[2], None, None])
                torch.testing.assert_close(found[name][0, :, t], expected)


def test_weight_of_the_refinement(cfg):
    model = MODELS.build(dict(cfg, refinement_weight=0., refinement=dict(channels=7)))
    assert model.refinement['pose'].prototypes.shape == (32, 7)
    losses = model(**make_multimodal_batch(model, 'protogesture', [1]), mode='loss')
    assert losses['rgb_loss_prototype'] == losses['pose_loss_prototype'] == 0


def test_wrong_backbones(cfg):
    with pytest.raises(ValueError, match='4 heatmaps for 2 frames, but speed_ratio is 4'):
        MODELS.build(cfg.backbone)(torch.randn(1, 3, 2, 32, 32), torch.rand(1, 22, 4, 8, 8))
    cfg.backbone.pose_pathway.lateral = False
    with pytest.raises(ValueError, match='pose_pathway lateral=True'):
        MODELS.build(cfg.backbone)


def test_pretrained_keeps_the_attention(cfg, tmp_path):
    source = MODELS.build(cfg.backbone)
    for parameter in source.attention.parameters():
        torch.nn.init.normal_(parameter)
    torch.save(dict(state_dict=source.state_dict()), tmp_path / 'whole.pth')
    model = MODELS.build(dict(cfg.backbone, pretrained=str(tmp_path / 'whole.pth')))
    model.init_weights()
    for key, value in source.state_dict().items():
        assert torch.equal(model.state_dict()[key], value)


def test_upstreams_checkpoint_loads_except_for_joints_and_classes(cfg, tmp_path):
    """The checkpoint of load_from has 17 joints and 60 classes."""
    upstream = copy.deepcopy(cfg)
    upstream.type, upstream.backbone.type = 'MMRecognizer3D', 'RGBPoseConv3D'
    upstream.backbone.pose_pathway.in_channels = 17
    upstream.cls_head.num_classes = 60
    start = MODELS.build(upstream).state_dict()
    torch.save(dict(state_dict=start), tmp_path / 'start.pth')
    model = MODELS.build(cfg)
    before = copy.deepcopy(model.state_dict())
    load_checkpoint(model, str(tmp_path / 'start.pth'), map_location='cpu')
    after = model.state_dict()
    other = {key for key in start if start[key].shape != after[key].shape}
    assert other == {
        'backbone.pose_path.conv1.conv.weight', 'cls_head.fc_pose.bias', 'cls_head.fc_pose.weight',
        'cls_head.fc_rgb.bias', 'cls_head.fc_rgb.weight'}
    for key, value in after.items():
        assert torch.equal(value, start[key] if key in start and key not in other else before[key])

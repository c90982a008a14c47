"""Prototypes against plain loops, attention against the host's network, gradients everywhere."""
import copy
import math

import numpy as np
import pytest
import torch
from mmaction.models.backbones import RGBPoseConv3D
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint

from gaie_mmaction.models import CrossModalRGBPoseConv3D
from gaie_mmaction.models.multimodal import PrototypeRefinement


def loops(features, scores, labels, prototypes, momentum, temperature, alpha):
    """The module in float64, sample by sample; returns the loss and the new prototypes."""
    def cosine(a, b):
        return float(a @ b / (math.sqrt(a @ a) * math.sqrt(b @ b)))

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
        exps = [math.exp(value - max(scores[i])) for value in scores[i]]
        doubt = alpha * (1 - exps[y] / sum(exps))
        missed = [features[j] for j in samples if labels[j] == y != predicted[j]]
        taken = [features[j] for j in samples if predicted[j] == y != labels[j]]
        change = [doubt * (cosine(features[i], sum(missed)) - 1) if missed else 0,
                  -doubt * (cosine(features[i], sum(taken)) + 1) if taken else 0]
        for extra in change:
            logits = [(cosine(features[i], new[k]) + (extra if k == y else 0)) / temperature
                      for k in classes]
            total += math.log(sum(math.exp(v) for v in logits)) - logits[y]
    return total / len(features), np.array(new)


@pytest.mark.parametrize('seed', range(5))
def test_refinement_by_plain_loops(seed):
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
    np.testing.assert_allclose(module.prototypes.numpy(), prototypes, rtol=1e-10)
    module.eval()
    module(features, scores, labels)  # which moves nothing
    np.testing.assert_allclose(module.prototypes.numpy(), prototypes, rtol=1e-10)


def test_ambiguous_samples_are_pulled_and_pushed():
    """The slope of the loss, compared with that without the ambiguous terms."""
    module = PrototypeRefinement(2, 2, channels=2, momentum=0, temperature=1.).eval()
    module.project.weight.data = torch.eye(2)
    module.project.bias.data.zero_()
    module.prototypes.copy_(torch.tensor([[1., 0], [-1, 0]]))

    def slope(features, scores, labels, alpha):
        module.alpha = alpha
        features = torch.tensor(features, requires_grad=True)
        module(features, torch.tensor(scores), torch.tensor(labels)).backward()
        return features.grad[0, 1].item()

    # sample 0 is of class 0, at angle 0; a sample of its class that is missed is above
    case = [[1., 0], [0., 1]], [[.1, 0], [0., 1]], [0, 0]
    assert slope(*case, 0.) == pytest.approx(0, abs=1e-6) and slope(*case, .5) < -1e-3
    # a sample of class 1 that is mistaken for class 0 is above
    case = [[1., 0], [0., 1]], [[.1, 0], [1., 0]], [0, 1]
    assert slope(*case, 0.) == pytest.approx(0, abs=1e-6) and slope(*case, .5) > 1e-3


def test_prototypes_are_learned_and_saved():
    torch.manual_seed(1)
    module = PrototypeRefinement(8, 3, channels=8)
    centres = 3 * torch.randn(3, 8)
    for _ in range(100):
        labels = torch.randint(3, (9, ))
        module(centres[labels] + .1 * torch.randn(9, 8), torch.eye(3)[labels], labels)
    expected = module.project(centres)
    torch.testing.assert_close(module.prototypes, expected.detach(), rtol=.1, atol=.2)
    assert 'prototypes' in module.state_dict()
    assert 'prototypes' not in dict(module.named_parameters())


def test_processes_share_what_moves_the_prototypes(monkeypatch):
    """Half of the batch each, as a whole batch in one process."""
    start = PrototypeRefinement(6, 4, channels=5)
    features, labels = torch.randn(12, 6), torch.arange(12) % 4
    scores = 3 * torch.eye(4)[labels] + torch.randn(12, 4)
    place = 'gaie_mmaction.models.multimodal.prototype_refinement.all_reduce'
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
    torch.manual_seed(2)
    module, half = PrototypeRefinement(6, 4, channels=5), PrototypeRefinement(6, 4, channels=5)
    half.load_state_dict(module.state_dict())
    features, scores, labels = torch.randn(8, 6), torch.randn(8, 4), torch.randint(4, (8, ))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = half(features, scores, labels)
    assert found.dtype == torch.float32 and half.prototypes.dtype == torch.float32
    with torch.autocast('cpu', dtype=torch.bfloat16):
        projected = half.project(features).float()
    module.project.register_forward_hook(lambda *args: projected)
    torch.testing.assert_close(module(features, scores, labels), found)


@pytest.mark.parametrize('settings, said', [
    (dict(momentum=1.), 'momentum must be in'), (dict(temperature=0.), 'temperature must be')])
def test_bad_settings(settings, said):
    with pytest.raises(ValueError, match=said):
        PrototypeRefinement(4, 3, **settings)


@pytest.fixture
def cfg(root):
    """The config's network, narrow."""
    init_default_scope('mmaction')
    model = Config.fromfile(root / 'configs/multimodal/protogesture_imigue.py').model
    model.backbone.rgb_pathway.base_channels = 8
    model.backbone.pose_pathway.base_channels = 4
    model.cls_head.in_channels = (256, 64)
    return model


def make_batch(labels, views=1):
    clips = [dict(imgs=torch.randint(0, 256, (views, 3, 2, 32, 32), dtype=torch.uint8),
                  heatmap_imgs=torch.rand(views, 22, 8, 8, 8)) for _ in labels]
    return dict(inputs=dict(imgs=[clip['imgs'] for clip in clips],
                            heatmap_imgs=[clip['heatmap_imgs'] for clip in clips]),
                data_samples=[ActionDataSample().set_gt_label(label) for label in labels])


def test_starts_as_the_hosts_network(cfg):
    ours = MODELS.build(cfg.backbone)
    ours.init_weights()
    paths = copy.deepcopy(cfg.backbone)
    host = RGBPoseConv3D(rgb_pathway=dict(paths.rgb_pathway), pose_pathway=dict(paths.pose_pathway))
    host.load_state_dict({key: value for key, value in ours.state_dict().items()
                          if not key.startswith('attention')})
    imgs, maps = torch.randn(2, 3, 2, 32, 32), torch.rand(2, 22, 8, 8, 8)
    for found, expected in zip(ours.eval()(imgs, maps), host.eval()(imgs, maps)):
        torch.testing.assert_close(found, expected)
    for layer in ours.attention[0].back.values():
        torch.nn.init.normal_(layer.weight)
    assert not torch.allclose(ours(imgs, maps)[0], host(imgs, maps)[0])


def test_attention_by_plain_loops(cfg):
    module = MODELS.build(cfg.backbone).attention[0].double()
    for layer in module.back.values():
        torch.nn.init.normal_(layer.weight)
    channels = module.back['rgb'].out_channels, module.back['pose'].out_channels
    rgb, pose = torch.randn(1, channels[0], 2, 3, 3).double(), torch.randn(
        1, channels[1], 8, 2, 2).double()
    with torch.no_grad():
        found = module(rgb, pose)
        shared = {name: module.to_shared[name](x).mean(dim=(3, 4))[0]
                  for name, x in (('rgb', rgb), ('pose', pose))}
        for name, other, x, result in (('rgb', 'pose', rgb, found[0]),
                                       ('pose', 'rgb', pose, found[1])):
            query, key, value = (layer[which](shared[which]) for layer, which in (
                (module.query, name), (module.key, other), (module.value, other)))
            mixed = torch.zeros_like(query)
            for i in range(len(query)):
                weights = [math.exp(float(query[i] @ key[j]) / math.sqrt(2))
                           for j in range(len(key))]
                for j, weight in enumerate(weights):
                    mixed[i] += weight / sum(weights) * value[j]
            gate = module.back[name](mixed)
            for t in range(x.shape[2]):
                expected = x[0, :, t] * (1 + gate[:, t * 2 // x.shape[2], None, None])
                torch.testing.assert_close(result[0, :, t], expected)


def test_losses_and_gradients_of_every_branch(cfg):
    model = MODELS.build(cfg)
    for attention in model.backbone.attention:
        for layer in attention.back.values():
            torch.nn.init.normal_(layer.weight, std=.1)
    batch = model.data_preprocessor(make_batch([3, 31, 3]), training=True)
    losses = model(**batch, mode='loss')
    names = {f'{branch}_loss_{kind}' for branch in ('rgb', 'pose') for kind in ('cls', 'prototype')}
    assert {name for name in losses if 'loss' in name} == names
    sum(losses[name] for name in names).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    # a bias in front of a softmax over the other's channels, and relu, may have none
    assert [name for name in without if 'key' not in name] == []


def test_weight_of_the_refinement(cfg):
    model = MODELS.build(dict(cfg, refinement_weight=0., refinement=dict(channels=7)))
    assert model.refinement['pose'].prototypes.shape == (32, 7)
    losses = model(**model.data_preprocessor(make_batch([1])), mode='loss')
    assert losses['rgb_loss_prototype'] == losses['pose_loss_prototype'] == 0


def test_prediction_is_the_mean_of_branches_and_views(cfg):
    model = MODELS.build(cfg).eval()
    batch = model.data_preprocessor(make_batch([3, 31], views=2))
    with torch.no_grad():
        results = model(**copy.deepcopy(batch), mode='predict')
        inputs = {name: values.flatten(0, 1) for name, values in batch['inputs'].items()}
        scores = model.cls_head(model.backbone(**inputs))
    expected = sum(scores[name].softmax(dim=1).unflatten(0, (2, 2)).mean(dim=1)
                   for name in ('rgb', 'pose')) / 2
    for result, row in zip(results, expected):
        torch.testing.assert_close(result.pred_score, row)
        assert result.pred_label.item() == row.argmax().item()


def test_bad_backbones(cfg):
    with pytest.raises(ValueError, match='pose_pathway lateral=True'):
        CrossModalRGBPoseConv3D(rgb_pathway=dict(cfg.backbone.rgb_pathway),
                                pose_pathway=dict(cfg.backbone.pose_pathway, lateral=False))
    backbone = MODELS.build(cfg.backbone)
    with pytest.raises(ValueError, match='4 heat-maps for 2 frames, but speed_ratio is 4'):
        backbone(torch.randn(1, 3, 2, 32, 32), torch.rand(1, 22, 4, 8, 8))


def test_the_hosts_start_loads_but_for_joints_and_classes(cfg, tmp_path):
    """The checkpoint of load_from has 17 joints and 60 classes."""
    host = copy.deepcopy(cfg)
    host.update(type='MMRecognizer3D')
    host.backbone.type = 'RGBPoseConv3D'
    host.backbone.pose_pathway.in_channels = 17
    host.cls_head.num_classes = 60
    host = MODELS.build(host)
    torch.save(dict(state_dict=host.state_dict()), tmp_path / 'start.pth')
    model = MODELS.build(cfg)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    load_checkpoint(model, str(tmp_path / 'start.pth'), map_location='cpu')
    start, after = host.state_dict(), model.state_dict()
    other = [key for key in start if start[key].shape != after[key].shape]
    assert sorted(key for key in other) == [
        'backbone.pose_path.conv1.conv.weight', 'cls_head.fc_pose.bias', 'cls_head.fc_pose.weight',
        'cls_head.fc_rgb.bias', 'cls_head.fc_rgb.weight']
    for key, value in after.items():
        assert torch.equal(value, start[key] if key in start and key not in other else before[key])


def test_pretrained_keeps_the_attention(cfg, tmp_path):
    source = MODELS.build(cfg.backbone)
    with torch.no_grad():
        for parameter in source.attention.parameters():
            parameter.normal_()
    torch.save(dict(state_dict=source.state_dict()), tmp_path / 'whole.pth')
    model = MODELS.build(dict(cfg.backbone, pretrained=str(tmp_path / 'whole.pth')))
    model.init_weights()
    for key, value in source.state_dict().items():
        assert torch.equal(model.state_dict()[key], value)

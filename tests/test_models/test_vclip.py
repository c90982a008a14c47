"""Losses against plain loops in float64, gradients of both branches, wrong text features."""
import math

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope

from gaie_mmaction.datasets import IMIGUE_CLASSES
from gaie_mmaction.models.multimodal import VCLIPHead
from gaie_mmaction.models.multimodal.text_features import write_text_features
from gaie_mmaction.models.multimodal.vclip_head import distillation


@pytest.fixture
def text(tmp_path):
    path = str(tmp_path / 'text.npz')
    write_text_features(path, IMIGUE_CLASSES, np.random.default_rng(0).normal(size=(32, 16)))
    return path


@pytest.fixture
def cfg(root, text):
    """The config's network, narrow."""
    init_default_scope('mmaction')
    model = Config.fromfile(root / 'configs/multimodal/vclip_imigue.py').model
    model.backbone.update(embed_dims=24, num_heads=2, img_size=32, num_frames=8, pretrained=None)
    model.pose_backbone.update(base_channels=4, stage_blocks=(1, 1, 1))
    model.cls_head.update(in_channels=(24, 64), text_features=text)
    return model


def make_batch(model, labels, views=1, training=True):
    imgs = [torch.randint(0, 256, (views, 3, 8, 32, 32), dtype=torch.uint8) for _ in labels]
    maps = [torch.rand(views, 22, 8, 16, 16) for _ in labels]
    samples = [ActionDataSample().set_gt_label(label) for label in labels]
    return model.data_preprocessor(
        dict(inputs=dict(imgs=imgs, heatmap_imgs=maps), data_samples=samples), training)


def softmax(row, temperature=1.):
    exps = [math.exp(float(value) / temperature) for value in row]
    return [value / sum(exps) for value in exps]


def test_distillation_by_plain_loops():
    student, teacher = torch.randn(3, 5).double(), torch.randn(3, 5).double()
    total = 0
    for own, other in zip(student, teacher):
        for p, q in zip(softmax(other, 2.5), softmax(own, 2.5)):
            total += p * math.log(p / q)
    assert distillation(student, teacher, 2.5).item() == pytest.approx(2.5**2 * total / 3)
    assert distillation(teacher, teacher, 2.5).item() == pytest.approx(0, abs=1e-12)
    teacher.requires_grad_()
    assert not distillation(student, teacher, 1.).requires_grad


def test_losses_by_plain_loops(text):
    head = VCLIPHead(32, (6, 5), text, distill_weight=.5).double().eval()
    names = head.text.numpy()
    feats, labels = (torch.randn(4, 6).double(), torch.randn(4, 5, 2, 3, 3).double()), [3, 3, 31, 0]
    samples = [ActionDataSample().set_gt_label(label) for label in labels]
    with torch.no_grad():
        losses = head.loss(feats, samples)
        video = head.project_video(feats[0]).numpy()
        pose = head.project_pose(feats[1].mean(dim=(2, 3, 4))).numpy()
        joint = head.interaction(torch.tensor(np.stack((video, pose), axis=1))).mean(dim=1).numpy()
    expected = dict.fromkeys(('loss_cls', 'loss_video', 'loss_pose', 'loss_pose_distill',
                              'loss_text_distill'), 0)
    for i, label in enumerate(labels):
        logits = {}
        for name, rows in (('cls', joint), ('video', video), ('pose', pose)):
            logits[name] = [row @ rows[i] / np.linalg.norm(rows[i]) / .07 for row in names]
            expected[f'loss_{name}'] -= math.log(softmax(logits[name])[label]) / 4
        near = [names[label] @ row for row in names]
        for name, teacher, temperature in (('pose', logits['pose'], 2.), ('text', near, .05)):
            soften = temperature if name == 'pose' else 1.
            for p, q in zip(softmax(teacher, temperature), softmax(logits['video'], soften)):
                expected[f'loss_{name}_distill'] += .5 * soften**2 * p * math.log(p / q) / 4
    assert {name for name in losses if 'loss' in name} == set(expected)
    for name, value in expected.items():
        assert losses[name].item() == pytest.approx(value, rel=1e-5), name


def test_gradients_reach_both_branches(cfg):
    model = MODELS.build(cfg)
    losses = model(**make_batch(model, [3, 31]), mode='loss')
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    for part in (model.backbone, model.pose_backbone, model.cls_head):
        assert sum(p.grad.abs().sum() for p in part.parameters()) > 0
    assert 'text' in model.cls_head.state_dict()


def test_distillation_teaches_the_video_branch_alone(cfg):
    model = MODELS.build(cfg)
    losses = model(**make_batch(model, [3, 31]), mode='loss')
    (losses['loss_pose_distill'] + losses['loss_text_distill']).backward()
    assert all(p.grad is None for p in model.pose_backbone.parameters())
    assert any(p.grad.any() for p in model.backbone.parameters())


def test_prediction_over_views(cfg):
    model = MODELS.build(cfg).eval()
    batch = make_batch(model, [3, 31], views=2, training=False)
    with torch.no_grad():
        logits = model(batch['inputs'], mode='tensor', stage='head')
        results = model(**batch, mode='predict')
    assert logits.shape == (4, 32)
    expected = logits.softmax(dim=1).unflatten(0, (2, 2)).mean(dim=1)
    torch.testing.assert_close(torch.stack([result.pred_score for result in results]), expected)


def test_checkpoint_of_other_text_features(text, tmp_path):
    from mmengine.runner.checkpoint import load_state_dict
    head = VCLIPHead(32, (6, 5), text)
    load_state_dict(VCLIPHead(32, (6, 5), text), head.state_dict())
    path = str(tmp_path / 'larger.npz')
    write_text_features(path, IMIGUE_CLASSES, np.random.default_rng(0).normal(size=(32, 24)))
    with pytest.raises(ValueError, match=r'trained with text features of \(32, 16\) .* are '
                       r'\(32, 24\)'):
        load_state_dict(VCLIPHead(32, (6, 5), path), head.state_dict())


def test_wrong_text_features(text, tmp_path):
    with pytest.raises(FileNotFoundError, match='none.npz do not exist'):
        VCLIPHead(32, (6, 5), str(tmp_path / 'none.npz'))
    with pytest.raises(ValueError, match='num_classes is 3, but there are 32 names'):
        VCLIPHead(3, (6, 5), text)
    with pytest.raises(ValueError, match='has 32 classes, but the model has 3'):
        VCLIPHead(3, (6, 5), text, classes=['nod', 'shrug', 'wave'])
    with pytest.raises(ValueError, match='have 16 channels, no multiple of num_heads = 3'):
        VCLIPHead(32, (6, 5), text, num_heads=3)

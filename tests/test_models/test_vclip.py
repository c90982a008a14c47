"""VCLIP's losses against plain loops in float64, and wrong text features."""
import math

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.runner.checkpoint import load_state_dict
from reference.gaie_loops import softmax
from small_model import make_multimodal_batch, narrow_multimodal, write_random_text

from gaie_mmaction.models.multimodal import VCLIPHead
from gaie_mmaction.models.multimodal.vclip import distillation


@pytest.fixture
def text(tmp_path):
    return write_random_text(tmp_path)


def soften(row, temperature=1.):
    return softmax([float(value) / temperature for value in row])


def test_distillation_equals_plain_loops():
    student, teacher = torch.randn(3, 5).double(), torch.randn(3, 5).double()
    total = sum(p * math.log(p / q) for own, other in zip(student, teacher)
                for p, q in zip(soften(other, 2.5), soften(own, 2.5)))
    assert distillation(student, teacher, 2.5).item() == pytest.approx(2.5**2 * total / 3)
    assert distillation(teacher, teacher, 2.5).item() == pytest.approx(0, abs=1e-12)
    assert not distillation(student, teacher.requires_grad_(), 1.).requires_grad


def test_losses_equal_plain_loops(text):
    head = VCLIPHead(32, (6, 5), text, distill_weight=.5).double().eval()
    names = head.text.numpy()
    feats, labels = (torch.randn(4, 6).double(), torch.randn(4, 5, 2, 3, 3).double()), [3, 3, 31, 0]
    with torch.no_grad():
        losses = head.loss(feats, [ActionDataSample().set_gt_label(label) for label in labels])
        video = head.project_video(feats[0]).numpy()
        pose = head.project_pose(feats[1].mean(dim=(2, 3, 4))).numpy()
        joint = head.interaction(torch.tensor(np.stack((video, pose), axis=1))).mean(dim=1).numpy()
    expected = dict.fromkeys(('loss_cls', 'loss_video', 'loss_pose', 'loss_pose_distill',
                              'loss_text_distill'), 0)
    for i, label in enumerate(labels):
        logits = {}
        for name, rows in (('cls', joint), ('video', video), ('pose', pose)):
            logits[name] = [row @ rows[i] / np.linalg.norm(rows[i]) / .07 for row in names]
            expected[f'loss_{name}'] -= math.log(soften(logits[name])[label]) / 4
        near = [names[label] @ row / .05 for row in names]
        for name, teacher, temperature in (('pose', logits['pose'], 2.), ('text', near, 1.)):
            for p, q in zip(soften(teacher, temperature), soften(logits['video'], temperature)):
                expected[f'loss_{name}_distill'] += .5 * temperature**2 * p * math.log(p / q) / 4
    for name, value in expected.items():
        assert losses[name].item() == pytest.approx(value, rel=1e-5), name


def test_distillation_teaches_the_video_branch_alone(root, text):
    model = MODELS.build(narrow_multimodal(root, 'vclip', text))
    losses = model(**make_multimodal_batch(model, 'vclip', [3, 31]), mode='loss')
    (losses['loss_pose_distill'] + losses['loss_text_distill']).backward()
    assert all(p.grad is None for p in model.pose_backbone.parameters())
    assert any(p.grad.any() for p in model.backbone.parameters())


def test_checkpoint_of_other_text_features(text, tmp_path):
    head = VCLIPHead(32, (6, 5), text)
    load_state_dict(VCLIPHead(32, (6, 5), text), head.state_dict())
    with pytest.raises(ValueError, match=r'trained with text features of \(32, 16\) .* are '
                       r'\(32, 24\)'):
        load_state_dict(VCLIPHead(32, (6, 5), write_random_text(tmp_path, 24)), head.state_dict())


def test_wrong_text_features(text, tmp_path):
    with pytest.raises(FileNotFoundError, match='none.npz do not exist: make it with '
                       'tools/data/text_features.py, and set model.cls_head.text_features'):
        VCLIPHead(32, (6, 5), str(tmp_path / 'none.npz'))
    with pytest.raises(ValueError, match='num_classes is 3, but there are 32 names'):
        VCLIPHead(3, (6, 5), text)
    with pytest.raises(ValueError, match='has 32 classes, but the model has 3'):
        VCLIPHead(3, (6, 5), text, classes=['nod', 'shrug', 'wave'])
    with pytest.raises(ValueError, match='have 16 channels, not a multiple of num_heads = 3'):
        VCLIPHead(32, (6, 5), text, num_heads=3)

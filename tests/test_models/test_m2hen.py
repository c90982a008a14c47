"""M2HEN's temporal scales."""
import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from small_model import make_multimodal_batch, narrow_multimodal

from gaie_mmaction.models.multimodal.m2hen import MultiScaleResidual


@pytest.fixture
def cfg(root):
    return narrow_multimodal(root, 'm2hen')


def stretch(x, steps):
    """Linear interpolation between the middles of the steps, with the ends held."""
    places = (np.arange(steps) + .5) * x.shape[2] / steps - .5
    return torch.tensor(np.apply_along_axis(
        lambda row: np.interp(places, range(len(row)), row), 2, x.numpy()))


def test_residual_equals_plain_loops():
    module = MultiScaleResidual(3, 3).double()
    fine, middle, coarse = (torch.randn(2, 3, steps).double() for steps in (4, 2, 1))
    joined = middle + module.connections[1](stretch(coarse, 2))
    joined = fine + module.connections[0](stretch(joined.detach(), 4))
    torch.testing.assert_close(module([fine, middle, coarse]), joined)
    torch.testing.assert_close(MultiScaleResidual(3, 1)([fine]), fine)


def test_scales_see_every_sth_skeleton(cfg):
    model = MODELS.build(cfg)
    seen = []
    for network in model.graph_backbone:
        network.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    batch = make_multimodal_batch(model, 'm2hen', [3])
    model.extract_feat(batch['inputs'])
    joints = batch['inputs']['keypoint'][:, 0]
    for scale, found in zip((1, 2, 4), seen):
        assert found.shape[2] == 16 // scale
        torch.testing.assert_close(found, joints[:, :, [t for t in range(16) if t % scale == 0]])


def test_without_residual_a_step_is_the_vits_feature_of_it(cfg):
    model = MODELS.build(cfg).eval()
    for parameter in model.join_video.connections.parameters():
        torch.nn.init.zeros_(parameter)
    batch = make_multimodal_batch(model, 'm2hen', [3], training=False)
    with torch.no_grad():
        video = model.extract_feat(batch['inputs'])[0][0]
        steps = model.backbone(batch['inputs']['imgs'][:, 0]).mean(dim=(3, 4))
    assert video.shape == (1, 24, 4, 1, 1)
    expected = torch.stack([model.backbone.fc_norm(step) for step in steps.unbind(2)], dim=2)
    torch.testing.assert_close(video[..., 0, 0], expected)


@pytest.mark.parametrize('scales', [(), (2, 4), (1, 4, 2), (1, 1, 2)])
def test_wrong_scales(cfg, scales):
    with pytest.raises(ValueError, match='scales must ascend from 1, but got'):
        MODELS.build(dict(cfg, scales=scales))


def test_wrong_backbone(cfg):
    cfg.backbone.return_feat_map = False
    with pytest.raises(ValueError, match='with return_feat_map=True'):
        MODELS.build(cfg)

"""Scales of time, gradients of every network, and the ensemble of both models."""
import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope

from gaie_mmaction.models.multimodal.m2hen import MultiScaleResidual


@pytest.fixture
def cfg(root):
    """The config's network, narrow."""
    init_default_scope('mmaction')
    model = Config.fromfile(root / 'configs/multimodal/m2hen_imigue.py').model
    model.backbone.update(embed_dims=24, num_heads=2, img_size=32, num_frames=8, pretrained=None)
    model.graph_backbone.update(base_channels=8, num_stages=3, inflate_stages=[2], down_stages=[2])
    model.cls_head.in_channels = (24, 16)
    return model


def make_batch(model, labels, views=1, training=True):
    imgs = [torch.randint(0, 256, (views, 3, 8, 32, 32), dtype=torch.uint8) for _ in labels]
    joints = [torch.randn(views, 1, 16, 22, 3) for _ in labels]
    samples = [ActionDataSample().set_gt_label(label) for label in labels]
    return model.data_preprocessor(
        dict(inputs=dict(imgs=imgs, keypoint=joints), data_samples=samples), training)


def test_residual_by_plain_loops():
    module = MultiScaleResidual(3, 3).double()
    fine, middle, coarse = (torch.randn(2, 3, steps).double() for steps in (4, 2, 1))

    def stretch(x, steps):
        """Linear interpolation, steps' middles, the ends held."""
        ratio, out = x.shape[2] / steps, []
        for t in range(steps):
            place = min(max((t + .5) * ratio - .5, 0), x.shape[2] - 1)
            low = int(place)
            high = min(low + 1, x.shape[2] - 1)
            out.append(x[:, :, low] * (1 - place + low) + x[:, :, high] * (place - low))
        return torch.stack(out, dim=2)

    joined = middle + module.connections[1](stretch(coarse, 2))
    joined = fine + module.connections[0](stretch(joined, 4))
    torch.testing.assert_close(module([fine, middle, coarse]), joined)
    assert module([fine, middle, coarse]).shape == (2, 3, 4)
    torch.testing.assert_close(MultiScaleResidual(3, 1)([fine]), fine)


def test_scales_see_every_sth_skeleton(cfg):
    model = MODELS.build(cfg)
    seen = []
    for network in model.graph_backbone:
        network.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    batch = make_batch(model, [3])
    model.extract_feat(batch['inputs'])
    joints = batch['inputs']['keypoint'][:, 0]
    for scale, found in zip((1, 2, 4), seen):
        assert found.shape[2] == 16 // scale
        torch.testing.assert_close(found, joints[:, :, [t for t in range(16) if t % scale == 0]])


def test_without_residual_a_step_is_the_vits_feature_of_it(cfg):
    model = MODELS.build(cfg).eval()
    for connection in model.join_video.connections:
        for p in connection.parameters():
            torch.nn.init.zeros_(p)
    batch = make_batch(model, [3], training=False)
    with torch.no_grad():
        video = model.extract_feat(batch['inputs'])[0][0]
        steps = model.backbone(batch['inputs']['imgs'][:, 0]).mean(dim=(3, 4))
    assert video.shape == (1, 24, 4, 1, 1)
    for step in range(4):
        torch.testing.assert_close(
            video[..., step, 0, 0], model.backbone.fc_norm(steps[..., step]))


def test_losses_and_gradients_of_every_network(cfg):
    model = MODELS.build(cfg)
    losses = model(**make_batch(model, [3, 31, 3]), mode='loss')
    assert {name for name in losses if 'loss' in name} == {'rgb_loss_cls', 'pose_loss_cls'}
    (losses['rgb_loss_cls'] + losses['pose_loss_cls']).backward()
    assert [name for name, p in model.named_parameters()
            if p.requires_grad and p.grad is None] == []
    for part in (model.backbone, *model.graph_backbone, model.join_video, model.join_graph):
        assert sum(p.grad.abs().sum() for p in part.parameters()) > 0


def test_prediction_is_the_mean_of_both_models(cfg):
    model = MODELS.build(cfg).eval()
    batch = make_batch(model, [3, 31], views=2, training=False)
    with torch.no_grad():
        logits = model(batch['inputs'], mode='tensor', stage='head')
        results = model(**batch, mode='predict')
    expected = sum(logits[name].softmax(dim=1).unflatten(0, (2, 2)).mean(dim=1)
                   for name in ('rgb', 'pose')) / 2
    torch.testing.assert_close(torch.stack([result.pred_score for result in results]), expected)


@pytest.mark.parametrize('scales', [(), (2, 4), (1, 4, 2), (1, 1, 2)])
def test_bad_scales(cfg, scales):
    with pytest.raises(ValueError, match='scales must ascend from 1, but got'):
        MODELS.build(dict(cfg, scales=scales))


def test_bad_backbone(cfg):
    cfg.backbone.return_feat_map = False
    with pytest.raises(ValueError, match='with return_feat_map=True'):
        MODELS.build(cfg)

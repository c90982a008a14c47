"""Masked motion pretraining and its skeleton transformer against plain loops."""
import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.registry import init_default_scope
from reference import masked_motion_loops

from gaie_mmaction.models import MaskedMotionModel
from gaie_mmaction.ops import motion_mask

BACKBONE = dict(type='SkeletonTransformer', num_joints=5, num_frames=12, temporal_patch=4,
                embed_dims=12, depth=2, num_heads=2)
SIZES = dict(decoder_depth=2, decoder_dims=8, decoder_heads=2)


def make_model(**options):
    return MODELS.build(dict(type='MaskedMotionModel', **{
        'backbone': dict(BACKBONE), 'mask_ratio': .6, **SIZES, **options}))


def make_skeletons(*shape):
    return torch.randn(*shape, dtype=torch.float64).cumsum(-3)


def as_arrays(model):
    return {key: value.detach().numpy() for key, value in model.state_dict().items()}


@pytest.mark.parametrize('normalize, channels', [(True, 3), (False, 3), (True, 2)])
def test_loss_equals_plain_loops(normalize, channels):
    model = make_model(normalize_target=normalize, target_channels=channels).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=.3)
    skeletons = make_skeletons(2, 2, 12, 5, 3)  # two clips of two persons
    mask = model.draw_mask(skeletons)
    assert mask.shape == (4, 15)
    loss, weights = model.forward_loss(skeletons, mask), as_arrays(model)
    expected = [masked_motion_loops.loss(
        person.numpy(), hidden.tolist(), weights, patch=4, channels=channels, heads=2,
        decoder_heads=2, normalize=normalize)
        for person, hidden in zip(skeletons.flatten(0, 1), mask)]
    assert loss.item() == pytest.approx(np.mean(expected), abs=1e-6)
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize('channels', [2, 3])
def test_target_equals_plain_loops(channels):
    model = make_model(target_channels=channels).double()
    skeletons = make_skeletons(3, 12, 5, 3)
    skeletons[0, :, 1] = 0  # a joint that is missing has no motion
    target = model.target(skeletons, torch.ones(3, 15, dtype=torch.bool))
    expected = [masked_motion_loops.target(one.numpy(), patch=4, channels=channels, normalize=True)
                for one in skeletons]
    np.testing.assert_allclose(target, expected, atol=1e-6)
    assert not target[0, 1::5].any()


def test_joints_that_move_are_hidden_by_the_papers_odds(monkeypatch):
    model, skeletons = make_model().double(), make_skeletons(2, 12, 5, 3)
    seen = []
    monkeypatch.setattr('gaie_mmaction.models.pretraining.masked_motion_model.motion_mask',
                        lambda motion, *args: seen.append(motion) or motion_mask(motion, *args))
    model.draw_mask(skeletons)
    expected = [masked_motion_loops.intensity(one.numpy(), patch=4, channels=3)
                for one in skeletons]
    np.testing.assert_allclose(seen[0], expected, atol=1e-12)


def test_first_draw_has_the_probabilities_of_the_softmax():
    motion = torch.tensor([0., 1., 2., 4.])
    mask = motion_mask(motion.expand(20000, 4), .25, .5, torch.Generator().manual_seed(0))
    expected = (motion / (4 * .5)).softmax(dim=0)
    torch.testing.assert_close(mask.float().mean(dim=0), expected, atol=.015, rtol=0)


@pytest.mark.parametrize('num_tokens', [4, 15, 660, 4110])
@pytest.mark.parametrize('ratio', [.3, .5, .9])
def test_number_of_hidden_tokens_is_exact(num_tokens, ratio):
    motion = torch.rand(3, num_tokens, generator=torch.Generator().manual_seed(0))
    motion[0] = 0  # nobody moves
    masks = [motion_mask(motion, ratio, .8, torch.Generator().manual_seed(1)) for _ in range(2)]
    assert torch.equal(*masks)
    assert masks[0].sum(dim=1).tolist() == [int(ratio * num_tokens)] * 3


def test_encoder_sees_the_visible_tokens_alone():
    model = make_model().eval()
    skeletons = make_skeletons(2, 12, 5, 3).float()
    mask = model.draw_mask(skeletons)
    changed = skeletons + mask.view(2, 3, 5).repeat_interleave(4, 1).unsqueeze(-1)
    assert torch.equal(model.reconstruct(changed, mask), model.reconstruct(skeletons, mask))


def test_checkpoint_is_pretrained_weights(tmp_path):
    model, path = make_model(), str(tmp_path / 'pretrained.pth')
    torch.save(dict(state_dict=model.state_dict()), path)
    backbone = MODELS.build(dict(BACKBONE, pretrained=path))
    backbone.init_weights()
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, model.state_dict()[f'backbone.{key}'])
    for sizes, part in ((dict(num_joints=22), r'\(1, 5, 12\) in the file, \(1, 22, 12'),
                        (dict(temporal_patch=2), r'projection.weight: \(12, 3, 4, 1, 1\) in the'),
                        (dict(depth=3), r'missing: blocks.2')):
        with pytest.raises(ValueError, match=f'(?s)pretrained.pth.*{part}.*num_joints, embed'):
            MODELS.build(dict(BACKBONE, pretrained=path, **sizes)).init_weights()


@pytest.mark.parametrize('joints, persons', [(17, 1), (20, 2), (46, 1), (137, 1)])
def test_recognizer(joints, persons):
    """In MMAction2's recognizer, with the head of its graph convolutions."""
    init_default_scope('mmaction')
    model = MODELS.build(dict(
        type='RecognizerGCN', backbone=dict(BACKBONE, num_joints=joints, drop_path_rate=.1),
        cls_head=dict(type='GCNHead', num_classes=3, in_channels=12)))
    model.init_weights()
    inputs = torch.randn(2, 2, persons, 8, joints, 3)  # other than num_frames
    samples = [ActionDataSample().set_gt_label(k) for k in range(2)]
    # the recognizer treats views as samples in training
    losses = model(inputs[:, :1], samples, mode='loss')
    losses['loss_cls'].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    model.eval()
    features = model.backbone(inputs[:, 0])
    assert features.shape == (2, persons, 12, 2, joints)
    alone = torch.stack([model.backbone(inputs[:, 0, m:m + 1])[:, 0] for m in range(persons)], 1)
    torch.testing.assert_close(features, alone, rtol=1e-4, atol=1e-5)
    scores = torch.stack([one.pred_score for one in model(inputs, samples, mode='predict')])
    torch.testing.assert_close(scores.sum(dim=1), torch.ones(2))


@pytest.mark.parametrize('shape, message', [
    ((1, 1, 10, 5, 3), 'multiple of temporal_patch = 4, but got 10'),
    ((1, 1, 12, 6, 3), 'have 6 joints, but the backbone has num_joints=5'),
    ((1, 12, 5, 3), r'must be \(B, M, T, V, C\), but got \(1, 12, 5, 3\)')])
def test_wrong_input(shape, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(BACKBONE)(torch.zeros(shape))
    if len(shape) == 5:
        with pytest.raises(ValueError, match=message):
            make_model()(torch.zeros(1, *shape))


@pytest.mark.parametrize('options, error, message', [
    (dict(mask_ratio=.01), ValueError, '15 tokens, but 0.01 hides 0'),
    (dict(mask_ratio=1), ValueError, '15 tokens, but 1 hides 15'),
    (dict(temperature=0), ValueError, 'above 0, but got 0'),
    (dict(backbone=dict(BACKBONE, num_frames=10)), ValueError, 'num_frames must be a multiple of'),
    (dict(backbone=dict(type='mmaction.ResNet', depth=18)), TypeError,
     'must be a SkeletonTransformer, but got a ResNet')])
def test_wrong_arguments(options, error, message):
    with pytest.raises(error, match=message):
        MaskedMotionModel(**{'backbone': dict(BACKBONE), **SIZES, **options})


def test_modes():
    model, inputs = make_model(), torch.randn(2, 2, 3, 12, 5, 3)
    assert model(inputs, mode='loss')['loss'].shape == ()
    values, mask = model(inputs, mode='tensor')
    assert values.shape == (12, 9, 12) and mask.shape == (12, 15)
    with pytest.raises(ValueError, match="got 'predict'"):
        model(inputs, mode='predict')

"""Masked pretraining against plain loops, and its masks."""
import numpy as np
import pytest
import torch
from mmaction.datasets import repeat_pseudo_collate
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from numbered_video import write_video
from reference import masked_video_loops
from torch.utils.flop_counter import FlopCounterMode

from gaie_mmaction.apis import build_recognizer
from gaie_mmaction.apis.unlabelled import write_windows
from gaie_mmaction.benchmark import measure_complexity
from gaie_mmaction.datasets import IMiGUEDataset
from gaie_mmaction.models import GAIEVisionTransformer, MaskedVideoModel
from gaie_mmaction.ops import tube_mask

BACKBONE = dict(type='GAIEVisionTransformer', img_size=16, patch_size=4, num_frames=4,
                embed_dims=12, depth=2, num_heads=2)
DECODER = dict(decoder_depth=2, decoder_dims=8, decoder_heads=2)


def make_model(mask_ratio=.75, **options):
    return MODELS.build(dict(type='MaskedVideoModel', backbone=dict(BACKBONE),
                             mask_ratio=mask_ratio, **DECODER, **options))


@pytest.mark.parametrize('normalize', [True, False])
def test_loss_equals_plain_loops(normalize):
    model = make_model(normalize_target=normalize).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=.3)
    frames = torch.randn(2, 3, 4, 16, 16, dtype=torch.float64)
    mask = tube_mask(2, (2, 4, 4), .75)
    loss = model.forward_loss(frames, mask)
    weights = {key: value.detach().numpy() for key, value in model.state_dict().items()}
    expected = [masked_video_loops.loss(
        clip.numpy(), hidden.tolist(), weights, tubelet=2, side=4, heads=2, decoder_heads=2,
        normalize=normalize) for clip, hidden in zip(frames, mask)]
    assert loss.item() == pytest.approx(np.mean(expected), abs=1e-6)
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_gradients_equal_differences_of_the_loops():
    model = make_model().double()
    frames, mask = torch.randn(1, 3, 4, 16, 16, dtype=torch.float64), tube_mask(1, (2, 4, 4), .75)
    model.forward_loss(frames, mask).backward()
    weights = {key: value.detach().numpy().copy() for key, value in model.state_dict().items()}
    sizes = dict(tubelet=2, side=4, heads=2, decoder_heads=2, normalize=True)
    for name in ('mask_token', 'encoder_to_decoder.weight', 'backbone.blocks.0.attn.qkv.weight',
                 'decoder.head.weight'):
        value = weights[name]
        losses = []
        for step in (1e-5, -1e-5):
            changed = value.copy()
            changed.flat[3] += step
            losses.append(masked_video_loops.loss(
                frames[0].numpy(), mask[0].tolist(), dict(weights, **{name: changed}), **sizes))
        gradient = dict(model.named_parameters())[name].grad.flatten()[3].item()
        assert gradient == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-4, abs=1e-9)


def test_state_has_videomaes_names():
    keys = set(make_model().state_dict())
    assert {key for key in keys if key.startswith('backbone.')} == {
        f'backbone.{key}' for key in GAIEVisionTransformer(
            **{key: value for key, value in BACKBONE.items() if key != 'type'}).state_dict()}
    assert {key for key in keys if not key.startswith(('backbone.', 'decoder.blocks.'))} == {
        'mask_token', 'encoder_to_decoder.weight', 'decoder.norm.weight', 'decoder.norm.bias',
        'decoder.head.weight', 'decoder.head.bias'}


@pytest.mark.parametrize('neck', [None, dict(type='GAIENeck')])
def test_checkpoint_is_pretrained_weights(tmp_path, neck):
    model = make_model()
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'pretrained.pth')
    vit = MODELS.build(dict(BACKBONE, neck=neck, merge_layers=(0, ),
                            pretrained=str(tmp_path / 'pretrained.pth')))
    vit.init_weights()
    for key, value in vit.state_dict().items():
        assert torch.equal(value, model.state_dict()[f'backbone.{key}'])


def test_encoder_sees_the_visible_tokens_alone():
    model = make_model().eval()
    seen = []
    model.backbone.blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0].x))
    frames, mask = torch.randn(2, 3, 4, 16, 16), tube_mask(2, (2, 4, 4), .75)
    first = model.reconstruct(frames, mask)
    assert seen[0].shape == (2, 8, 12)
    changed = frames.clone()  # other pixels where tokens are hidden change nothing
    pixels = mask.view(2, 1, 2, 4, 4).repeat_interleave(2, 2).repeat_interleave(4, 3)
    changed[pixels.repeat_interleave(4, 4).expand_as(frames)] += 1
    assert torch.equal(model.reconstruct(changed, mask), first)


def test_cost_of_the_encoder(root):
    """At full size 90 % hidden tokens leave a tenth of the cost, embedding of all included."""
    cfg = Config.fromfile(root / 'configs/pretraining/videomae_vitb_imigue.py').model
    cfg.backbone.pretrained = None
    init_default_scope('mmaction')
    model = MODELS.build(cfg)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        _, mask = model(torch.zeros(1, 1, 3, 16, 224, 224), mode='tensor')
    assert mask.sum() == 8 * int(.9 * 14 * 14)
    counts = counter.get_flop_counts()
    encoder = sum(sum(counts[f'MaskedVideoModel.backbone.{part}'].values())
                  for part in ('patch_embed', *(f'blocks.{k}' for k in range(12))))
    vit = build_recognizer(Config.fromfile(root / 'configs/vivit_vitb_imigue.py'), 'meta')
    assert encoder / 2 < .1 * measure_complexity(vit, (3, 16, 224, 224)).true_macs


def test_gradient_checkpointing_changes_nothing():
    models = [MODELS.build(dict(type='MaskedVideoModel', backbone=dict(BACKBONE, with_cp=with_cp),
                                mask_ratio=.75, **DECODER)) for with_cp in (False, True)]
    models[1].load_state_dict(models[0].state_dict())
    frames, mask = torch.randn(2, 3, 4, 16, 16), tube_mask(2, (2, 4, 4), .75)
    for model in models:
        model.forward_loss(frames, mask).backward()
    for first, second in zip(*(model.parameters() for model in models)):
        torch.testing.assert_close(first.grad, second.grad)


def test_autocast():
    """The loss is float32, and near the one without."""
    model = make_model()
    frames, mask = torch.randn(2, 3, 4, 16, 16), tube_mask(2, (2, 4, 4), .75)
    expected = model.forward_loss(frames, mask)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = model.forward_loss(frames, mask)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.item() == pytest.approx(expected.item(), rel=.02)


def test_repeated_samples_have_masks_of_their_own(tmp_path):
    """A clip is decoded once, and enters the batch several times."""
    write_video(tmp_path / 'a.mp4', 40)
    write_windows(tmp_path, tmp_path / 'windows.csv', per_video=2, window=8)
    pack = [dict(type='RandomCrop', size=16), dict(type='FormatShape', input_format='NCTHW'),
            dict(type='PackActionInputs', meta_keys=('clip_id', ))]
    init_default_scope('mmaction')
    dataset = IMiGUEDataset(
        ann_file=str(tmp_path / 'windows.csv'), data_prefix=dict(video=str(tmp_path)), pipeline=[
            dict(type='ClipInit'), dict(type='SampleFrames', clip_len=4, frame_interval=2),
            dict(type='ClipDecode'), dict(type='RepeatAugment', num_repeats=3, transforms=pack)])
    model = make_model(data_preprocessor=dict(
        type='ActionDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
        format_shape='NCTHW'))
    batch = model.data_preprocessor(repeat_pseudo_collate([dataset[0], dataset[1]]), training=True)
    assert [sample.clip_id for sample in batch['data_samples']] == [
        *['a.mp4:0'] * 3, *['a.mp4:32'] * 3]
    values, mask = model(**batch, mode='tensor')
    assert values.shape == (6, 24, 96) and len({tuple(one.tolist()) for one in mask}) > 3


def test_weights_of_another_patch_size(tmp_path):
    torch.save(dict(state_dict=make_model().state_dict()), tmp_path / 'other.pth')
    backbone = dict(BACKBONE, patch_size=8, pretrained=str(tmp_path / 'other.pth'))
    with pytest.raises(ValueError, match=r'does not fit:\n.*\n.*\(12, 3, 2, 4, 4\) in the '
                       r'file, \(12, 3, 2, 8, 8\) here'):
        MaskedVideoModel(backbone=backbone, mask_ratio=.5, **DECODER).init_weights()


def test_frames_of_another_size():
    model = make_model()
    loss = model(torch.randn(1, 1, 3, 4, 24, 32), mode='loss')['loss']
    assert torch.isfinite(loss)
    with pytest.raises(ValueError, match="input's height must be a multiple of 4, but got 18"):
        model(torch.randn(1, 1, 3, 4, 18, 16), mode='loss')


@pytest.mark.parametrize('grid', [(2, 4, 4), (8, 14, 14), (1, 3, 5), (5, 1, 7)])
@pytest.mark.parametrize('ratio', [.3, .5, .75, .9])
def test_tubes(grid, ratio):
    frames, places = grid[0], grid[1] * grid[2]
    if not 0 < int(ratio * places) < places:
        pytest.skip('hides nothing')
    mask = tube_mask(3, grid, ratio, torch.Generator().manual_seed(0))
    assert torch.equal(mask, tube_mask(3, grid, ratio, torch.Generator().manual_seed(0)))
    assert mask.shape == (3, frames * places) and mask.dtype == torch.bool
    frame_masks = mask.view(3, frames, places)
    assert (frame_masks.sum(dim=2) == int(ratio * places)).all()
    assert (frame_masks == frame_masks[:, :1]).all()
    if places > 20:
        assert not torch.equal(mask[0], mask[1])


def test_random_masks_hide_any_token():
    """Exactly the share in each clip, each token as often, unlike in neighbouring frames."""
    model = make_model(mask_ratio=.6, masking='random')
    torch.manual_seed(0)
    mask = model.draw_mask(torch.empty(3000, 3, 4, 16, 16))
    assert mask.shape == (3000, 32) and (mask.sum(dim=1) == 19).all()
    # five standard deviations of a share of 19/32 among 3000
    assert (mask.float().mean(dim=0) - 19 / 32).abs().max() < 5 * (.594 * .406 / 3000)**.5
    both = mask.view(3000, 2, 16).all(dim=1).float().mean()
    assert abs(both - 19 / 32 * 18 / 31) < .01
    with pytest.raises(ValueError, match=r"masking must be one of \('tube', 'random'\).*'cube'"):
        make_model(masking='cube')
    with pytest.raises(ValueError, match='32 places, but 0.01 hides 0'):
        make_model(mask_ratio=.01, masking='random')


@pytest.mark.parametrize('ratio', [0, .01, 1, 1.2])
def test_ratio_that_hides_nothing_or_all(ratio):
    with pytest.raises(ValueError, match=f'16 places.*but {ratio} hides'):
        make_model(mask_ratio=ratio)


@pytest.mark.parametrize('backbone, error, message', [
    (dict(BACKBONE, neck=dict(type='GAIENeck'), merge_layers=(0, )), ValueError, 'got GAIENeck'),
    (dict(type='mmaction.ResNet', depth=18), TypeError, 'got a ResNet')])
def test_wrong_backbone(backbone, error, message):
    with pytest.raises(error, match=message):
        MaskedVideoModel(backbone=backbone)


def test_modes():
    model = make_model()
    inputs = torch.randn(2, 2, 3, 4, 16, 16)
    assert model(inputs, mode='loss')['loss'].shape == ()
    values, mask = model(inputs, mode='tensor')
    assert values.shape == (4, 24, 96) and mask.shape == (4, 32)
    with pytest.raises(ValueError, match="got 'predict'"):
        model(inputs, mode='predict')
    with pytest.raises(ValueError, match='same number of hidden tokens'):
        model.forward_loss(inputs[0], torch.eye(2, 32).bool().cumsum(1).bool())

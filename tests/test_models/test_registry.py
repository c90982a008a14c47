"""What every registered backbone and reducer promises."""
import pytest
import torch
from mmaction.models.backbones.vit_mae import VisionTransformer
from mmaction.registry import MODELS
from small_model import SIZE, make_clips, randomize, without_gradient

from gaie_mmaction.models import TokenReducer, backbones
from gaie_mmaction.models.backbones.vivit import VARIANTS

REDUCERS = sorted(
    name for name, cls in MODELS.module_dict.items()
    if isinstance(cls, type) and issubclass(cls, TokenReducer)
    and cls.__module__.startswith('gaie_mmaction'))
# what a reducer adds to the network's own weights
LEARNED = {'DiffRateNeck': {'neck.prune_logits', 'neck.merge_logits', 'neck.fixed_counts'}}
NETWORKS = {
    'GAIEVisionTransformer': dict(type='GAIEVisionTransformer'),
    'FeatMapVisionTransformer': dict(type='FeatMapVisionTransformer', neck=dict(type='GAIENeck')),
    'prop_attn': dict(type='GAIEVisionTransformer', neck=dict(type='GAIENeck', prop_attn=True)),
    **{name: dict(type='GAIEVisionTransformer', neck=dict(type=name, token_keep_ratio=.7))
       for name in REDUCERS},
    **{name: dict(type='ViViT', variant=name, pretrained2d=False) for name in VARIANTS}}
every_network = pytest.mark.parametrize('name', NETWORKS)


def make(name, **changes):
    cfg = dict(SIZE, **NETWORKS[name], **changes)
    if cfg['type'] != 'ViViT':
        cfg['merge_layers'] = (1, 2)
    return randomize(MODELS.build(cfg))


def test_all_are_here():
    assert REDUCERS == [
        'DiffRateNeck', 'EViTNeck', 'GAIENeck', 'KeepFirstNeck', 'PruneNeck', 'RandomDropNeck',
        'RepresentationShiftNeck', 'STANeck', 'ToMeNeck', 'UniformDropNeck', 'VidTLDRNeck']
    # skeletons have a test of their own
    assert set(backbones.__all__) - {'SkeletonTransformer'} == {
        cfg['type'] for cfg in NETWORKS.values()}


@every_network
def test_forward(name):
    """Deterministic, and a clip does not depend on the others in its batch."""
    model, clips = make(name).eval(), make_clips(3)
    with torch.no_grad():
        features = model(clips)
        assert torch.equal(model(clips), features)
        alone = torch.cat([model(clip[None]) for clip in clips.flip(0)]).flip(0)
    assert features.shape == (3, 24) and torch.isfinite(features).all()
    torch.testing.assert_close(features, alone, rtol=1e-4, atol=1e-5)


@every_network
@pytest.mark.parametrize('batch', [1, 3])
@pytest.mark.parametrize('amp', [False, True])
def test_every_parameter_gets_a_gradient(name, batch, amp):
    is_vit = NETWORKS[name]['type'] != 'ViViT'
    model = make(name, **(dict(init_values=.1) if is_vit else {}))  # LayerScale has parameters
    with torch.autocast('cpu', torch.bfloat16, enabled=amp):
        features = model(make_clips(batch))
    features.float().square().sum().backward()
    assert torch.isfinite(features).all()
    assert without_gradient(model) == []
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@every_network
def test_checkpointing_changes_no_gradient(name):
    clips, gradients = make_clips(), []
    for with_cp in (False, True):
        torch.manual_seed(3)
        model = make(name, with_cp=with_cp, drop_path_rate=.3, drop_rate=.1)
        torch.manual_seed(4)
        model(clips).sin().sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    for plain, recomputed in zip(*gradients):
        torch.testing.assert_close(recomputed, plain)


@every_network
def test_attention_dropout_is_for_training_alone(name):
    model, clips = make(name, attn_drop_rate=.5), make_clips(1)
    if name == 'DiffRateNeck':  # its masked attention has no dropout, and says so
        with pytest.raises(ValueError, match=f'attn_drop_rate must be 0 with a {name}.*got 0.5'):
            model(clips)
        return
    assert not torch.allclose(model(clips), model(clips))
    model(clips).sin().sum().backward()
    assert without_gradient(model) == []
    plain = make(name).eval()
    plain.load_state_dict(model.state_dict())
    assert torch.equal(model.eval()(clips), plain(clips))


@every_network
@pytest.mark.parametrize('shape', [(1, 3, 7, 32, 32), (1, 3, 8, 30, 32), (1, 3, 8, 32, 33)])
def test_input_that_does_not_divide(name, shape):
    with pytest.raises(ValueError, match='must be a multiple of'):
        make(name)(torch.zeros(shape))


@every_network
def test_pretrained_is_loaded_strictly(name, tmp_path):
    """From an MMAction2 recognizer's checkpoint; every mismatch is listed."""
    path = str(tmp_path / 'weights.pth')
    is_vit = NETWORKS[name]['type'] != 'ViViT'
    source = (VisionTransformer(**SIZE) if is_vit else make(name)).state_dict()
    state = {f'backbone.{key}': value for key, value in source.items()}
    state['cls_head.fc_cls.weight'] = torch.zeros(400, 24)
    torch.save(dict(state_dict=state), path)
    model = make(name, pretrained=path)
    model.init_weights()
    for key, value in source.items():
        assert torch.equal(model.state_dict()[key], value)
    assert set(model.state_dict()) - set(source) == LEARNED.get(name, set())

    del state['backbone.fc_norm.bias']
    state['backbone.extra'] = torch.zeros(1)
    state['backbone.patch_embed.projection.bias'] = torch.zeros(7)
    torch.save(dict(state_dict=state), path)
    with pytest.raises(ValueError) as caught:
        model.init_weights()
    for part in ('missing: fc_norm.bias', 'left over: extra', '(7,) in the file', path):
        assert part in str(caught.value)

    for content in ({'blocks.0.norm1.bias': torch.zeros(3)}, {'model': {}}):
        torch.save(content, path)
        with pytest.raises(ValueError, match='weights.pth is not a checkpoint of an MMAction2 rec.*'
                                             f"are '{next(iter(content))}'.*videomae_to_mmaction"):
            model.init_weights()

"""The baselines' configs against the zoo that they come from, and published costs."""
from pathlib import Path

import mmaction
import pytest
import torch
import yaml
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from one_epoch import forward_and_backward, random_batch

from gaie_mmaction.apis import build_recognizer
from gaie_mmaction.benchmark import measure_complexity

ZOO = Path(mmaction.__file__).parent / '.mim/configs/recognition'
TSM = 'tsm/tsm_imagenet-pretrained-r50_8xb16-1x1x{}-50e_kinetics400-rgb'
SWIN = 'swin/swin-{}-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb'
# ours -> the zoo's
BASELINES = dict(tsm_r50_imigue=TSM.format(8), tsm_r50_16f_imigue=TSM.format(16),
                 videoswin_tiny_imigue=SWIN.format('tiny'),
                 videoswin_base_imigue=SWIN.format('base'))
VARIANTS = dict(vivit_fe_vitb_imigue='factorised_encoder',
                vivit_fsa_vitb_imigue='factorised_self_attention',
                vivit_fdp_vitb_imigue='factorised_dot_product')


def load(name):
    return Config.fromfile(Path(__file__).parents[1] / f'configs/{name}.py')


def zoo_entry(path):
    """What the zoo's metafile says of a config."""
    folder, name = path.split('/')
    models = yaml.safe_load((ZOO / folder / 'metafile.yml').read_text())['Models']
    return next(model for model in models if model['Name'] == name)


def measure(cfg, num_classes, frames):
    cfg.model.cls_head.num_classes = num_classes
    return measure_complexity(build_recognizer(cfg, 'meta'), (3, frames, 224, 224))


@pytest.fixture
def uninitialised(monkeypatch):
    """Models are built without drawing their weights: counting takes no notice of them."""
    for name in ('kaiming_normal_', 'kaiming_uniform_', 'normal_', 'trunc_normal_', 'uniform_'):
        monkeypatch.setattr(torch.nn.init, name, lambda tensor, *_, **__: tensor)


# --- cost -------------------------------------------------------------------------------------


@pytest.mark.parametrize('name, frames', zip(BASELINES, (8, 16, 32, 32)))
def test_cost_is_the_zoos(name, frames, uninitialised):
    """The zoo's figures are for Kinetics' 400 classes."""
    published = zoo_entry(BASELINES[name])['Metadata']
    cost = measure(load(name), 400, frames)
    assert cost.true_macs == pytest.approx(float(published['FLOPs'][:-1]) * 1e9, rel=.01)
    if name.startswith('tsm'):
        # The zoo repeats the figure of its Something-Something models, which have 174 classes:
        # TSN with the same ResNet-50 and head for 400 is 24.33 M in its own metafile.
        same_network = zoo_entry('tsn/tsn_imagenet-pretrained-r50_8xb32-1x1x8-100e_kinetics400-rgb')
        assert same_network['Metadata']['Parameters'] == '24.33M'
        assert cost.parameters == pytest.approx(24.33e6, abs=.005e6)
        assert published['Parameters'] == '23.87M'
        cost = measure(load(name), 174, frames)
    assert cost.parameters == pytest.approx(float(published['Parameters'][:-1]) * 1e6, rel=.01)


@pytest.mark.parametrize('name, changes, frames, gmacs, parameters', [
    # the table of the zoo's page of VideoMAE; the metafile has none
    ('vivit_vitb_imigue', {}, 16, 180, 87),
    # Table 2 of the ViViT paper (published): ViViT-B/16x2, 32 frames, Kinetics-400
    *(('vivit_fe_vitb_imigue', dict(variant=variant, num_frames=32), 32, gmacs, parameters)
      for variant, gmacs, parameters in (
          ('joint', 455.2, 88.9), ('factorised_encoder', 284.4, 115.1),
          ('factorised_self_attention', 372.3, 117.3), ('factorised_dot_product', 277.1, 88.9)))])
def test_cost_of_vivit_is_published(name, changes, frames, gmacs, parameters, uninitialised):
    cfg = load(name)
    cfg.model.backbone.update(changes)
    cost = measure(cfg, 400, frames)
    assert cost.true_macs == pytest.approx(gmacs * 1e9, rel=.01)
    assert cost.parameters == pytest.approx(parameters * 1e6, rel=.001 if changes else .01)


@pytest.mark.parametrize('name, group', [
    ('tsm_r50_imigue', 'convolutions'), ('videoswin_tiny_imigue', 'attention products'),
    ('vivit_fsa_vitb_imigue', 'attention products')])
def test_groups_sum_to_the_whole(name, group, uninitialised):
    cost = measure(load(name), 32, 8)
    assert sum(cost.true_groups.values()) == pytest.approx(cost.true_macs)
    assert cost.true_groups[group] > .02 * cost.true_macs
    # what is in no group has no products
    assert cost.true_groups.get('norms and others', 0) < 1e-9 * cost.true_macs


# --- the zoo's models and recipes -------------------------------------------------------------


@pytest.mark.parametrize('name', BASELINES)
def test_the_zoos_weights_fit(name, uninitialised):
    """The head's apart, which is for other classes."""
    theirs = build_recognizer(Config.fromfile(ZOO / f'{BASELINES[name]}.py'), 'meta')
    ours = build_recognizer(load(name), 'meta')
    shapes = [{key: value.shape for key, value in model.state_dict().items()
               if not key.startswith('cls_head.fc_cls')} for model in (ours, theirs)]
    assert shapes[0] == shapes[1]
    assert load(name).load_from == zoo_entry(BASELINES[name])['Weights']


@pytest.mark.parametrize('name', BASELINES)
def test_recipe_is_the_zoos_for_our_batch(name):
    ours, theirs = load(name), Config.fromfile(ZOO / f'{BASELINES[name]}.py')
    # of two GPUs, as for all RGB configs
    assert ours.auto_scale_lr.base_batch_size == 2 * ours.train_dataloader.batch_size == 4
    scale = 4 / theirs.auto_scale_lr.base_batch_size
    expected = theirs.optim_wrapper.to_dict()
    expected['optimizer']['lr'] *= scale
    expected.pop('type', None)  # mixed precision, which CPUs have not: --amp
    assert ours.optim_wrapper.to_dict() == expected
    assert ours.train_cfg.max_epochs == theirs.train_cfg.max_epochs
    assert ours.param_scheduler == theirs.param_scheduler
    for part in ('dropout_ratio', 'drop_path_rate'):
        for module in ('backbone', 'cls_head'):
            assert ours.model[module].get(part) == theirs.model[module].get(part)


@pytest.mark.parametrize('name', BASELINES)
def test_optimizer_builds(name, uninitialised):
    cfg = load(name)
    model = MODELS.build(cfg.model)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    rates = {id(p): group['lr'] for group in wrapper.param_groups for p in group['params']}
    assert all(id(p) in rates for p in model.parameters())
    head, body = model.cls_head.fc_cls.weight, next(model.backbone.parameters())
    factor = 5 if name.startswith('tsm') else 10
    assert rates[id(head)] == pytest.approx(factor * rates[id(body)])


# --- the data that all share ------------------------------------------------------------------


@pytest.mark.parametrize('name', [*BASELINES, *VARIANTS, 'vivit_vitb_imigue'])
def test_data_and_views_are_gaies(name):
    """But for the number of frames and their layout."""
    ours, gaie = load(name), load('gaie_vitb_imigue')
    for part in ('train', 'val', 'test'):
        loaders = [cfg[f'{part}_dataloader'].to_dict() for cfg in (ours, gaie)]
        for loader in loaders:
            steps = {step['type']: step for step in loader['dataset']['pipeline']}
            frames = steps['UniformSample'].pop('clip_len')
            layout = steps['FormatShape'].pop('input_format')
            if loader is loaders[1]:
                continue
            assert frames == (8 if name == 'tsm_r50_imigue' else 16)
            assert layout == ours.model.data_preprocessor.get('format_shape', 'NCHW')
            assert layout == ('NCHW' if name.startswith('tsm') else 'NCTHW')
            if name.startswith('tsm'):
                for module in ('backbone', 'cls_head'):
                    assert frames == ours.model[module].num_segments
        assert loaders[0] == loaders[1]
    assert ours.test_evaluator == gaie.test_evaluator and ours.val_evaluator == gaie.val_evaluator


@pytest.mark.parametrize('name', VARIANTS)
def test_vivit_variants_share_the_joint_recipe(name):
    ours, joint = load(name), load('vivit_vitb_imigue')
    for part in ('optim_wrapper', 'param_scheduler', 'train_cfg', 'auto_scale_lr'):
        assert ours[part] == joint[part]
    assert ours.model.backbone.variant == VARIANTS[name]


# --- running ----------------------------------------------------------------------------------


def run(cfg, size, labels=(3, 31)):
    """Loss, gradients and scores of two clips; returns the model."""
    model = MODELS.build(cfg.model)
    shape = ((cfg.model.backbone.num_segments, 3, size, size)
             if cfg.model.type == 'Recognizer2D' else (1, 3, 16, size, size))
    forward_and_backward(model, *(random_batch(*shape, labels=labels) for _ in range(2)))
    return model


@pytest.mark.parametrize('name', BASELINES)
def test_forward_and_backward(name):
    """At a reduced size; the ViTs' are in test_configs.py."""
    cfg = load(name)
    if name.startswith('tsm'):
        cfg.model.backbone.depth, cfg.model.cls_head.in_channels = 18, 512
    else:
        cfg.model.backbone.arch = dict(embed_dims=24, depths=[1, 2], num_heads=[1, 2])
        cfg.model.backbone.out_indices = (1, )
        cfg.model.cls_head.in_channels = 48
    model = run(cfg, 32 if name.startswith('tsm') else 64)
    model.init_weights()  # nothing is fetched: the zoo's weights come over it by load_from


@pytest.mark.slow
@pytest.mark.parametrize('name', [*BASELINES, *VARIANTS, 'vivit_vitb_imigue', 'gaie_vitb_imigue'])
def test_full_size(name):
    """Build, loss, gradients and scores of a clip at the config's own size, on a CPU."""
    run(load(name), 224, labels=(3, ))

"""Every config parses, builds, and runs forward and backward at a reduced size."""

import pytest
from launching import ROOT, launch, train_command
from mmaction.registry import DATASETS, MODELS
from mmengine.config import Config
from one_epoch import forward_and_backward, prepare_release, random_batch, train_and_test
from small_model import narrow_vit

from gaie_mmaction.apis.unlabelled import write_windows

CONFIGS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / 'configs').rglob('*.py')
                 if '_base_' not in path.parts)
# the configs whose backbone is a video ViT; the others' are in test_baselines.py
VITS = [path for path in CONFIGS
        if ('vit' in path or 'gaie' in path)
        and not path.startswith(('configs/pretraining/', 'configs/spotting/',
                                 'configs/ma52/', 'configs/smg/'))]
SPOTTING = [path for path in CONFIGS if path.startswith('configs/spotting/')]
PRETRAINING = [path for path in CONFIGS if path.startswith('configs/pretraining/')]
VIDEO_PRETRAINING = [path for path in PRETRAINING if 'videomae' in path]


def test_there_are_configs():
    assert {'configs/gaie_vitb_imigue.py', 'configs/vivit_vitb_imigue.py',
            'configs/demo/gaie_demo.py', 'configs/demo/vivit_demo.py'} <= set(CONFIGS)


@pytest.mark.parametrize('path', VITS)
def test_forward_and_backward(root, path):
    model = MODELS.build(narrow_vit(Config.fromfile(root / path)).model)
    forward_and_backward(model, *(random_batch(1, 3, 8, 32, 32) for _ in range(2)))


# studies of other classes get their clips from tools/analysis
@pytest.mark.parametrize('path', [
    one for one in CONFIGS if 'egogestar' not in one and one not in (
        'configs/study/utd_mhad.py', 'configs/study/pretraining_flow.py', *PRETRAINING,
        *SPOTTING)])
@pytest.mark.parametrize('part', ['train', 'val', 'test'])
def test_datasets_build(root, path, part):
    cfg = Config.fromfile(root / path)
    outer = inner = cfg[f'{part}_dataloader'].dataset
    outer.lazy_init = True
    while 'dataset' in inner:  # of a wrapper
        inner = inner.dataset
        inner.lazy_init = True
    dataset = DATASETS.build(outer)
    assert len(dataset.metainfo['classes']) == cfg.model.cls_head.num_classes
    assert getattr(dataset, 'dataset', dataset).test_mode == (part != 'train')


def test_the_papers_recipe(root):
    """DESIGN of the paper: numbers that a change must not move by accident."""
    cfg = Config.fromfile(root / 'configs/gaie_vitb_imigue.py')
    assert cfg.model.backbone.neck == dict(type='GAIENeck', token_keep_ratio=0.7)
    assert cfg.model.backbone.merge_layers == (3, 6, 9)
    assert cfg.optim_wrapper.optimizer == dict(type='AdamW', lr=2e-5, weight_decay=0.05)
    assert (cfg.param_scheduler.type, cfg.param_scheduler.eta_min) == ('CosineAnnealingLR', 2e-6)
    assert cfg.train_cfg.max_epochs == cfg.param_scheduler.T_max == 30
    assert cfg.train_dataloader.batch_size == 2 and cfg.auto_scale_lr.base_batch_size == 4
    assert cfg.train_dataloader.dataset.ann_file == 'trainval.csv'
    steps = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    assert steps['Resize'].scale == (256, 256) and steps['RandomCrop'].size == 224
    assert steps['UniformSample'].clip_len == 16
    steps = {step.type: step for step in cfg.test_dataloader.dataset.pipeline}
    assert steps['CenterCrop'].crop_size == 224 and steps['UniformSample'].test_mode


def test_plain_differs_by_the_neck_alone(root):
    gaie = Config.fromfile(root / 'configs/gaie_vitb_imigue.py')
    plain = Config.fromfile(root / 'configs/vivit_vitb_imigue.py')
    del gaie.model.backbone['neck'], gaie.model.backbone['merge_layers']
    assert gaie.to_dict() == plain.to_dict()


@pytest.mark.parametrize('path', VIDEO_PRETRAINING)
def test_pretraining(root, path):
    cfg = narrow_vit(Config.fromfile(root / path), img_size=64)
    model = MODELS.build(cfg.model)
    data = model.data_preprocessor(random_batch(1, 3, 8, 64, 64), training=True)
    loss = model(**data, mode='loss')['loss']
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert cfg.val_cfg is None and cfg.test_cfg is None


@pytest.mark.slow
def test_pretraining_then_finetuning(root, tmp_path):
    """Through mim: the pretrained backbone is where GAIE's training starts."""
    prepare_release(tmp_path)
    write_windows(tmp_path / 'videos', tmp_path / 'windows.csv', per_video=4, window=32)
    options = ['train_cfg.max_epochs=1', 'train_dataloader.num_workers=0',
               'default_hooks.checkpoint.interval=1',
               f'train_dataloader.dataset.data_root={tmp_path}']
    work = tmp_path / 'pretraining'
    output = launch(train_command(root / 'configs/pretraining/videomae_demo.py', '--work-dir', work,
                                  '--cfg-options', *options), root)
    assert 'Saving checkpoint at 1 epochs' in output
    train_and_test('configs/demo/gaie_demo.py', tmp_path, tmp_path / 'finetuning', 4,
                   f'model.backbone.pretrained={work}/epoch_1.pth')

"""The skeleton configs: what they share with MMAction2's, forward and backward, and mim."""
from pathlib import Path

import mmaction
import numpy as np
import pytest
import torch
from launching import launch, test_command, train_command
from mmaction.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from one_epoch import forward_and_backward, prepare_release, train_and_test
from running import run_tool
from skeleton_file import make_clip, write_skeletons

from gaie_mmaction.datasets import SKELETON_LAYOUTS
from gaie_mmaction.policy import load_checkpoint_safely

STREAMS = {f'configs/{model}_imigue_{stream}.py': (model, stream)
           for model, streams in (('stgcn', ('joint', 'bone')),
                                  ('aagcn', ('joint', 'bone', 'joint-motion', 'bone-motion')),
                                  ('stgcnpp', ('joint', 'bone', 'joint-motion', 'bone-motion')),
                                  ('posec3d', ('joint', 'limb')))
           for stream in streams}
MA52 = ['configs/ma52/stgcnpp_ma52_joint.py', 'configs/ma52/posec3d_ma52_joint.py']
SKELETONS = [*STREAMS, 'configs/demo/stgcn_demo.py']
TRANSFORMERS = ['configs/mamp_imigue_joint.py', 'configs/mamp_imigue_joint137.py',
                'configs/mamp_imigue_joint_crt.py', 'configs/demo/mamp_demo.py',
                'configs/demo/mamp_crt_demo.py']
MASKED = ['configs/pretraining/masked_motion_imigue_joint.py',
          'configs/pretraining/masked_motion_imigue_joint137.py',
          'configs/pretraining/masked_motion_demo.py']
# of MMAction2's model zoo
ZOO = dict(stgcn='stgcn/stgcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-2d.py',
           stgcnpp='stgcnpp/stgcnpp_8xb16-joint-u100-80e_ntu60-xsub-keypoint-2d.py',
           aagcn='2s-agcn/2s-agcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-2d.py',
           posec3d='posec3d/slowonly_r50_8xb16-u48-240e_ntu60-xsub-keypoint.py')


def steps_of(cfg, part):
    return {step.type: step for step in cfg[f'{part}_dataloader'].dataset.pipeline}


@pytest.mark.parametrize('path', STREAMS)
def test_streams(root, path):
    cfg, (model, stream) = Config.fromfile(root / path), STREAMS[path]
    layout = SKELETON_LAYOUTS['imigue']
    for part in ('train', 'val', 'test'):
        steps = steps_of(cfg, part)
        if model == 'posec3d':
            assert steps['SkeletonHeatmap'].kind == stream
        else:
            assert steps['SkeletonStream'].stream == stream
            assert steps['FormatGCNInput'].num_person == cfg.model.backbone.num_person == 1
    if model == 'posec3d':
        assert cfg.model.backbone.in_channels == (22 if stream == 'joint' else len(layout.edges))
    else:
        assert cfg.model.backbone.graph_cfg.layout == layout.graph
    assert cfg.model.cls_head.num_classes == 32
    assert cfg.train_dataloader.dataset.split == 'trainval'


@pytest.mark.parametrize('path', MA52)
def test_ma52(root, path):
    cfg, layout = Config.fromfile(root / path), SKELETON_LAYOUTS['ma52']
    backbone = cfg.model.backbone
    assert (backbone.in_channels == layout.num_joints if 'posec3d' in path
            else backbone.graph_cfg.layout == layout.graph)
    for part, split in (('train', 'train'), ('val', 'val'), ('test', 'val')):
        steps = steps_of(cfg, part)
        assert all(step.layout == 'ma52' for name, step in steps.items()
                   if name in ('SkeletonFlip', 'SkeletonStream', 'SkeletonHeatmap'))
        assert cfg[f'{part}_dataloader'].dataset.split == split


@pytest.mark.parametrize('model', ZOO)
def test_model_and_recipe_are_the_zoos(root, model):
    ours = Config.fromfile(root / f'configs/{model}_imigue_joint.py')
    zoo = Config.fromfile(Path(mmaction.__file__).parent / '.mim/configs/skeleton' / ZOO[model])
    for cfg in (ours, zoo):
        cfg.model.cls_head.pop('num_classes')
        cfg.model.backbone.pop('in_channels', None)
        cfg.model.backbone.pop('num_person', None)
        cfg.model.backbone.get('graph_cfg', {}).pop('layout', None)
    zoo.model.backbone.pop('gcn_attention', None)  # there it is AGCN without the attention
    assert ours.model == zoo.model
    rates = [cfg.optim_wrapper.optimizer.pop('lr') for cfg in (ours, zoo)]
    assert ours.optim_wrapper == zoo.optim_wrapper
    assert rates[0] == pytest.approx(rates[1] * ours.auto_scale_lr.base_batch_size / 128)
    assert ours.train_dataloader.batch_size == ours.auto_scale_lr.base_batch_size
    epochs = zoo.train_cfg.max_epochs * zoo.train_dataloader.dataset.times
    assert ours.train_cfg.max_epochs == ours.param_scheduler.T_max == epochs
    zoo.train_dataloader.dataset = zoo.train_dataloader.dataset.dataset
    for part in ('train', 'val', 'test'):
        theirs = steps_of(zoo, part)
        mine = steps_of(ours, part)
        for name in {'UniformSampleFrames', 'Resize', 'RandomResizedCrop', 'CenterCrop'} & set(
                theirs):
            assert mine[name] == theirs[name]
        if 'GeneratePoseTarget' in theirs:
            for key in ('sigma', 'double'):
                assert mine['SkeletonHeatmap'].get(key) in (None, theirs['GeneratePoseTarget'].get(
                    key))
    assert steps_of(ours, 'test')['UniformSampleFrames'].num_clips == 10


@pytest.mark.parametrize('path', [*SKELETONS, *MA52])
def test_forward_and_backward(root, path, tmp_path):
    cfg = Config.fromfile(root / path)
    if cfg.model.backbone.type == 'ResNet3dSlowOnly':
        cfg.model.backbone.update(base_channels=8, stage_blocks=(1, 1, 1))
        cfg.model.cls_head.in_channels = 128
    else:
        # ST-GCN++ splits its channels into six branches
        cfg.model.backbone.update(base_channels=12, num_stages=3, inflate_stages=[2],
                                  down_stages=[2])
        cfg.model.cls_head.in_channels = 24
    clips = [make_clip(f'0001_{k}', (3, 31)[k], 20, k) for k in range(2)]
    clips[0]['keypoint'][0, 4:7, 4] = 0
    if path in MA52:
        for clip in clips:
            for key in ('keypoint', 'keypoint_score'):
                clip[key] = clip[key][:, :, np.arange(28) % 22]
    write_skeletons(tmp_path / 's.pkl', clips)
    model = MODELS.build(cfg.model)
    batches = {}
    for part, views in (('train', 1), ('test', 2)):
        dataset = cfg[f'{part}_dataloader'].dataset
        dataset.update(data_root=str(tmp_path), ann_file='s.pkl', split='train')
        steps_of(cfg, part)['UniformSampleFrames'].update(clip_len=8, num_clips=views)
        dataset = DATASETS.build(dataset)
        batches[part] = pseudo_collate([dataset[k] for k in range(2)])
    forward_and_backward(model, batches['train'], batches['test'])


@pytest.mark.parametrize('path', [*TRANSFORMERS, *MASKED])
def test_transformers(root, path, tmp_path):
    """Forward and backward through their own pipelines, narrow."""
    cfg = Config.fromfile(root / path)
    clips = [make_clip(f'0001_{k}', (3, 31)[k], 20, k) for k in range(2)]
    if '137' in path:
        for clip in clips:
            for key in ('keypoint', 'keypoint_score'):
                clip[key] = clip[key][:, :, np.arange(137) % 22]
    write_skeletons(tmp_path / cfg.train_dataloader.dataset.ann_file, clips)
    cfg.model.backbone.update(embed_dims=12, depth=2, num_heads=2)
    cfg.train_dataloader.dataset.update(data_root=str(tmp_path), split='train')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    batch = pseudo_collate([dataset[k] for k in range(2)])
    if path in MASKED:
        cfg.model.update(decoder_depth=1, decoder_dims=8, decoder_heads=2)
        model = MODELS.build(cfg.model)
        model(**model.data_preprocessor(batch, training=True), mode='loss')['loss'].backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        assert cfg.val_cfg is None and cfg.test_cfg is None
        return
    cfg.model.cls_head.in_channels = 12
    cfg.test_dataloader.dataset.update(data_root=str(tmp_path), split='train')
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    forward_and_backward(MODELS.build(cfg.model), batch,
                         pseudo_collate([dataset[k] for k in range(2)]))


@pytest.mark.parametrize('joints', ['joint', 'joint137'])
def test_pretraining_is_of_the_finetuned_network(root, joints):
    """Whose layer-wise rates have one entry per block."""
    before, after = (Config.fromfile(root / f'configs/{name}_imigue_{joints}.py')
                     for name in ('pretraining/masked_motion', 'mamp'))
    assert before.model.backbone.pop('drop_path_rate') == 0
    assert after.model.backbone.pop('drop_path_rate') == .3
    after.model.backbone.pop('with_cp', None)
    assert before.model.backbone == after.model.backbone
    assert before.train_dataloader == dict(after.train_dataloader, persistent_workers=False)
    sizes = MODELS.build(dict(after.model.backbone))
    assert {f'backbone.blocks.{k}.' for k in range(len(sizes.blocks))} <= set(
        after.optim_wrapper.paramwise_cfg.custom_keys)


@pytest.mark.parametrize('name', ['mamp_imigue_joint', 'pretraining/masked_motion_imigue_joint',
                                  'pretraining/videomae_demo'])
def test_rates_and_weight_decay_of_each_parameter(root, name):
    """mmengine forgets the rules of norms and biases where a key of the layers fits."""
    cfg = Config.fromfile(root / f'configs/{name}.py')
    model = MODELS.build(cfg.model)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    names = {parameter: key for key, parameter in model.named_parameters()}
    for group in optimizer.param_groups:
        parameter, = group['params']
        key = names[parameter]
        expected = 0. if parameter.dim() == 1 else .05
        if key == 'mask_token' and 'videomae' in name:
            expected = 0.
        assert group['weight_decay'] == expected, key
        above = 0  # layers
        if 'mamp' in name and key.startswith('backbone.blocks.'):
            above = 8 - int(key.split('.')[2])
        elif 'mamp' in name and key.startswith('backbone.') and '.norm.' not in key:
            above = 9
        assert group['lr'] == pytest.approx(cfg.optim_wrapper.optimizer.lr * .8**above), key


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('skeletons')
    prepare_release(folder, train=2)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize('path', SKELETONS)
def test_mim(data, path, tmp_path):
    """One epoch and the leaderboard file of the unlabelled test part."""
    options = []
    if 'posec3d' in path:  # twenty views at full size would take many minutes on a CPU
        options = [f'{part}_dataloader.dataset.pipeline.1.clip_len=8'
                   for part in ('train', 'val', 'test')]
        options.append('test_dataloader.dataset.pipeline.1.num_clips=1')
    output = train_and_test(path, data, tmp_path, 8, *options)
    assert 'acc/top1' not in output  # there are no labels


@pytest.mark.slow
def test_pretraining_finetuning_and_retraining(root, data, tmp_path):
    """The three stages of the transformer, each from the one before, then scores to fuse."""
    options = ['train_cfg.max_epochs=1', 'train_dataloader.num_workers=0',
               f'train_dataloader.dataset.data_root={data}']
    launch(train_command(root / MASKED[-1], '--work-dir', tmp_path / 'pretrained',
                         '--cfg-options', *options), root)
    train_and_test('configs/demo/mamp_demo.py', data, tmp_path / 'finetuned', 8,
                   f'model.backbone.pretrained={tmp_path}/pretrained/epoch_1.pth')
    finetuned = tmp_path / 'finetuned/epoch_1.pth'
    train_and_test('configs/demo/mamp_crt_demo.py', data, tmp_path / 'retrained', 8,
                   f'load_from={finetuned}')
    retrained = tmp_path / 'retrained/epoch_1.pth'
    before, after = (load_checkpoint_safely(str(path))['state_dict']
                     for path in (finetuned, retrained))
    assert {key for key in before if not torch.equal(before[key], after[key])} == {
        'cls_head.fc.weight', 'cls_head.fc.bias'}
    dumps = []
    for name, checkpoint in (('mamp_demo', finetuned), ('mamp_crt_demo', retrained)):
        dumps.append(tmp_path / f'{name}.pkl')
        launch(test_command(
            root / f'configs/demo/{name}.py', checkpoint, '--work-dir', tmp_path / 'test', '--dump',
            dumps[-1], '--cfg-options', f'test_dataloader.dataset.data_root={data}',
            'test_dataloader.num_workers=0'), root)
    out = tmp_path / 'fused.csv'
    code, _ = run_tool('fuse_scores.py', *dumps, '--ann-file', data / 'test.csv', '--out', out)
    assert code is None
    assert len(out.read_text().splitlines()) == len((data / 'test.csv').read_text().splitlines())

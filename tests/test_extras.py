"""The extras of training do what they say, each alone and all together."""
import json
import math
import pickle
from collections import Counter

import numpy as np
import pytest
import torch
from evaluating import write_segments
from launching import launch, test_command, train_command
from mmaction.registry import DATASETS, MODELS, TRANSFORMS
from mmaction.structures import ActionDataSample
from mmcv.transforms import BaseTransform
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.optim import build_optim_wrapper
from mmengine.registry import FUNCTIONS, PARAM_SCHEDULERS
from mmengine.runner.checkpoint import CheckpointLoader
from numbered_video import read_number, write_video
from one_epoch import prepare_release
from small_model import narrow_vit, predict_clips
from tiny_training import make_runner, write_config
from torch.utils.data import DataLoader

from gaie_mmaction.datasets import SKELETON_LAYOUTS

# Clips of each class in the training and validation part of the challenge, as the label file that
# the organisers publish with their ST-GCN baseline has them (mikecheninoulu/SMG)
IMIGUE_COUNTS = (10, 418, 39, 207, 80, 23, 64, 858, 87, 3, 302, 154, 97, 41, 28, 27, 322, 83, 2,
                 942, 170, 373, 657, 700, 11, 287, 87, 60, 1237, 6, 2272, 4023)


@pytest.fixture
def cfg(root):
    return Config.fromfile(root / 'configs/gaie_vitb_imigue_extras.py')


def small_model(cfg, **backbone):
    model = MODELS.build(narrow_vit(cfg, **backbone).model)
    model.init_weights()
    return model


def test_without_the_extras_it_is_the_papers(cfg, root):
    paper = Config.fromfile(root / 'configs/gaie_vitb_imigue.py')
    cfg.pop('custom_hooks')
    del cfg.optim_wrapper['constructor'], cfg.optim_wrapper['paramwise_cfg']
    del cfg.model.backbone['drop_path_rate'], cfg.model.cls_head['label_smooth_eps']
    del cfg.model.data_preprocessor['blending'], cfg.train_dataloader['collate_fn']
    assert cfg.param_scheduler.pop('eta_min_ratio') == .1
    cfg.param_scheduler.eta_min = paper.param_scheduler.eta_min
    cfg.train_dataloader.dataset = cfg.train_dataloader.dataset.dataset
    *steps, repeat = cfg.train_dataloader.dataset.pipeline
    steps += [step for step in repeat.transforms if step.type != 'Flip']
    cfg.train_dataloader.dataset.pipeline = cfg.train_pipeline = steps
    assert cfg.to_dict() == paper.to_dict()


# Class-balanced sampling


def write_counts(path, counts, *more):
    write_segments(path, *(f'{label}_{k},v.mp4,{k},{k},{label}'
                           for label, count in enumerate(counts) for k in range(count)), *more)


def test_balance_of_the_real_counts(cfg, tmp_path):
    write_counts(tmp_path / 'trainval.csv', IMIGUE_COUNTS)
    dataset_cfg = cfg.train_dataloader.dataset
    dataset_cfg.dataset.data_root = str(tmp_path)
    dataset = DATASETS.build(dataset_cfg)
    seen = Counter(dataset.get_data_info(k)['label'] for k in range(len(dataset)))
    total = sum(IMIGUE_COUNTS)
    for label, count in enumerate(IMIGUE_COUNTS):
        repeats = math.ceil(max(1, math.sqrt(dataset_cfg.oversample_thr * total / count)))
        assert seen[label] == repeats * count, label
    # what the config's comment says
    assert (total, len(dataset)) == (13670, 17333)
    assert max(IMIGUE_COUNTS) / total == pytest.approx(.294, abs=5e-4)
    assert seen[31] / len(dataset) == pytest.approx(.232, abs=5e-4)
    assert seen[18] == min(seen.values()) == 30


def test_balance_of_unread_annotations(cfg, tmp_path):
    dataset_cfg = cfg.train_dataloader.dataset
    dataset_cfg.update(lazy_init=True, oversample_thr=.4)
    dataset_cfg.dataset.update(lazy_init=True, data_root=str(tmp_path))
    dataset = DATASETS.build(dataset_cfg)
    write_counts(tmp_path / 'trainval.csv', [90, 9], 'unlabelled,v.mp4,0,0,-1')
    dataset.full_init()
    labels = [dataset.get_data_info(k)['label'] for k in range(len(dataset))]
    # sqrt(0.4 / 0.09) = 2.1; without a label a clip belongs to no class, however few they are
    assert Counter(labels) == {0: 90, 1: 3 * 9, -1: 1}


class Packed(BaseTransform):
    def transform(self, results):
        numbers = [read_number(image) for image in results['imgs']]
        return dict(numbers=np.array(numbers), random=np.array(results['random']),
                    clip_id=results['clip_id'])


class Random(BaseTransform):
    calls = 0

    def transform(self, results):
        Random.calls += 1
        results['random'] = results.get('random', ()) + (np.random.rand(), )
        return results


def pipeline(num_repeats=2):
    return [
        dict(type='ClipInit'), dict(type='UniformSample', clip_len=8), dict(type='ClipDecode'),
        Random(),
        dict(type='RepeatAugment', num_repeats=num_repeats, transforms=[Random(), Packed()])
    ]


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    """12 clips of class 0, 3 of class 1, one of them in a file that cannot be read."""
    folder = tmp_path_factory.mktemp('videos')
    write_video(folder / '0001.mp4', 160)
    (folder / 'bad.mp4').write_bytes(b'')
    rows = [f'{name}_{k},0001.mp4,{10 * k},{10 * k + 9},{label}'
            for label, (name, clips) in enumerate((('many', range(12)), ('few', (12, 13))))
            for k in clips]
    write_segments(folder / 'clips.csv', *rows, 'bad_15,bad.mp4,150,159,1')
    return folder


def balanced_dataset(cfg, folder, **changes):
    inner = dict(cfg.train_dataloader.dataset.dataset, data_root=str(folder), ann_file='clips.csv',
                 data_prefix=dict(video=''), pipeline=pipeline(), **changes)
    return DATASETS.build(dict(cfg.train_dataloader.dataset, dataset=inner, oversample_thr=.5))


@pytest.mark.parametrize('context', [None, 'fork', pytest.param('spawn', marks=pytest.mark.slow)])
def test_balanced_and_repeated_in_workers(cfg, videos, context):
    dataset = balanced_dataset(cfg, videos, on_error='skip', max_bad_share=.1)
    assert len(dataset) == 12 + 2 * 3  # sqrt(0.5 / 0.2) = 1.6
    loader = DataLoader(
        dataset, batch_size=5, num_workers={None: 0, 'fork': 2, 'spawn': 1}[context],
        multiprocessing_context=context,
        collate_fn=FUNCTIONS.get(cfg.train_dataloader.collate_fn.type))
    names = []
    for batch in loader:
        assert len(batch['clip_id']) in (2 * 5, 2 * 3)
        versions = list(zip(batch['clip_id'], batch['numbers'], batch['random']))
        for (name, frames, random), (same_name, same_frames, other) in zip(
                versions[::2], versions[1::2], strict=True):
            start = 10 * int(name.split('_')[1])
            assert name == same_name and start <= frames.min() <= frames.max() <= start + 9
            np.testing.assert_array_equal(frames, same_frames)
            assert random[0] == other[0] and random[1] != other[1]
            names.append(name)
    assert len(names) == 18 and all(names.count(f'few_{k}') >= 2 for k in (12, 13))
    assert all(names.count(f'many_{k}') >= 1 for k in range(12))
    # two visits of the bad clip gave another clip each, and counted it once
    assert not any(name.startswith('bad') for name in names)
    assert dataset.dataset._bad.sum() == 1


# Repeated augmentation


def test_repeats_are_those_of_a_plain_loop():
    steps = [dict(type='RandomCrop', size=20), dict(type='Flip', flip_ratio=.5)]
    frames = np.random.default_rng(0).integers(0, 256, (4, 32, 40, 3), dtype=np.uint8)

    def clip():
        return dict(imgs=list(frames.copy()), img_shape=(32, 40), modality='RGB')

    given = clip()
    np.random.seed(3)
    versions = TRANSFORMS.build(dict(type='RepeatAugment', num_repeats=5, transforms=steps))(given)
    np.random.seed(3)
    for version in versions:
        expected = clip()
        for step in steps:
            expected = TRANSFORMS.build(step)(expected)
        np.testing.assert_array_equal(version['imgs'], expected['imgs'])
    assert {version['flip'] for version in versions} == {True, False}
    np.testing.assert_array_equal(given['imgs'], frames)  # Flip wrote into copies alone


def test_the_clip_is_decoded_once(cfg, videos):
    dataset = balanced_dataset(cfg, videos)
    dataset.dataset.pipeline = type(dataset.dataset.pipeline)(pipeline(num_repeats=4))
    Random.calls = 0
    assert len(dataset[0]) == 4 and Random.calls == 1 + 4


def test_repeat_augment_asks_for_another_clip():
    transform = TRANSFORMS.build(dict(type='RepeatAugment', transforms=[lambda results: None]))
    assert transform(dict(imgs=[])) is None


def test_repeat_augment_at_a_wrong_place():
    with pytest.raises(ValueError, match='at least 1, but got 0'):
        TRANSFORMS.build(dict(type='RepeatAugment', transforms=[], num_repeats=0))
    with pytest.raises(ValueError, match=r"only \['filename'\]: put it behind the decoding"):
        TRANSFORMS.build(dict(type='RepeatAugment', transforms=[]))(dict(filename='a.mp4'))


# Mirror


def test_mirror(cfg):
    """Its joints are the layout's; what Flip then does is SkeletonFlip's test."""
    steps = cfg.train_dataloader.dataset.dataset.pipeline[-1].transforms
    flip = next(step for step in steps if step.type == 'Flip')
    layout = SKELETON_LAYOUTS['imigue']
    assert (tuple(flip.left_kp), tuple(flip.right_kp)) == (layout.left, layout.right)
    frames = np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), dtype=np.uint8)
    results = TRANSFORMS.build(dict(flip, flip_ratio=1.))(
        dict(imgs=list(frames.copy()), img_shape=(48, 64), modality='RGB', label=7))
    np.testing.assert_array_equal(results['imgs'], frames[:, :, ::-1])
    assert results['label'] == 7


# Layer-wise learning rates


def depth_of(name, depth):
    """0 for the embedding, i + 1 for block i, depth + 1 for what follows the blocks."""
    if name.startswith('backbone.patch_embed.'):
        return 0
    if name.startswith('backbone.blocks.'):
        return 1 + int(name.split('.')[2])
    assert name.startswith(('backbone.fc_norm.', 'cls_head.')), name
    return depth + 1


def test_layer_decay(cfg):
    model = small_model(cfg, init_values=.1)
    depth = len(model.backbone.blocks)
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    groups = optim_wrapper.optimizer.param_groups
    group_of = {id(p): group for group in groups for p in group['params']}
    assert sum(len(group['params']) for group in groups) == len(group_of)
    assert len(group_of) == len(list(model.parameters()))
    assert depth == 12
    plain = {'bias', 'q_bias', 'v_bias', 'gamma_1', 'gamma_2'}
    for name, parameter in model.named_parameters():
        group = group_of[id(parameter)]
        assert group['lr'] == pytest.approx(2e-5 * .75**(13 - depth_of(name, depth))), name
        bare = name.split('.')[-1] in plain or 'norm' in name
        assert group['weight_decay'] == (0 if bare else .05), name
    rates = {group['lr'] for group in groups}
    assert max(rates) == 2e-5 and min(rates) < 2e-6 and len(rates) == 14


@pytest.mark.parametrize('own', [True, False])
def test_every_rate_falls_to_a_tenth(cfg, root, own):
    """And by the paper's absolute 2e-6 some would rise instead."""
    model = small_model(cfg)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    start = [group['lr'] for group in optimizer.param_groups]
    paper = Config.fromfile(root / 'configs/gaie_vitb_imigue.py')
    scheduler = PARAM_SCHEDULERS.build(dict(cfg.param_scheduler if own else paper.param_scheduler),
                                       default_args=dict(optimizer=optimizer, epoch_length=100))
    optimizer.step()
    for _ in range(30 * 100):
        scheduler.step()
    ratios = [group['lr'] / lr for group, lr in zip(optimizer.param_groups, start)]
    if own:
        assert ratios == pytest.approx([.1] * len(start), rel=1e-3)
    else:
        assert min(ratios) == pytest.approx(.1, rel=1e-3) and max(ratios) > 4


# Mixup and cutmix with soft targets


def plain_clips(labels):
    """Clips ``(1, 3, 8, 32, 32)`` whose pixels all have the value of their class."""
    samples = [ActionDataSample().set_gt_label(label) for label in labels]
    return dict(inputs=[torch.full((1, 3, 8, 32, 32), 8 * label, dtype=torch.uint8)
                        for label in labels], data_samples=samples)


@pytest.mark.parametrize('labels', [(5, ), (3, 31, 17), (0, 9, 9, 25)])
def test_blended_pixels_and_targets_agree(cfg, labels):
    preprocess = MODELS.build(dict(cfg.model.data_preprocessor, mean=[0] * 3, std=[1] * 3))
    seen = set()
    for seed in range(30):
        np.random.seed(seed)
        torch.manual_seed(seed)
        batch = preprocess(plain_clips(labels), training=True)
        inputs = batch['inputs']
        targets = torch.stack([sample.gt_label for sample in batch['data_samples']])
        assert inputs.shape == (len(labels), 1, 3, 8, 32, 32) and targets.shape[1] == 32
        torch.testing.assert_close(targets.sum(dim=1), torch.ones(len(labels)))
        # the mean pixel is the mean of the classes' pixels, weighted as the target is
        torch.testing.assert_close(inputs.mean(dim=(1, 2, 3, 4, 5)),
                                   targets @ (8. * torch.arange(32)), rtol=1e-4, atol=1e-3)
        uniform = (inputs == inputs[..., :1, :1]).flatten(1).all(dim=1)
        mixed = (targets > 0).sum(dim=1) == 2
        seen |= {('mixup' if same else 'cutmix') for same in uniform[mixed].tolist()}
        assert (inputs == inputs[:, :, :1, :1]).all()  # the same box in all frames
    assert seen == (set() if len(labels) == 1 else {'mixup', 'cutmix'})
    untouched = preprocess(plain_clips(labels), training=False)
    assert [int(sample.gt_label) for sample in untouched['data_samples']] == list(labels)


@pytest.mark.parametrize('blending', [True, False])
@pytest.mark.parametrize('labels', [(5, ), (3, 31, 17)])
def test_loss_of_smoothed_targets(cfg, labels, blending):
    if not blending:
        cfg.model.data_preprocessor.blending = None
    model = small_model(cfg).eval()  # without drop path; the loss is the same function
    batch = model.data_preprocessor(plain_clips(labels), training=True)
    hard = torch.nn.functional.one_hot(torch.tensor(labels), 32).float()
    targets = [sample.gt_label for sample in batch['data_samples']]
    targets = .9 * (torch.stack(targets) if blending else hard) + .1 / 32
    losses = model(**batch, mode='loss')
    scores = model.cls_head(model.backbone(batch['inputs'].squeeze(1)))
    expected = -(targets * scores.log_softmax(dim=1)).sum(dim=1).mean()
    torch.testing.assert_close(losses['loss_cls'], expected, rtol=1e-4, atol=1e-5)
    # a hit has no meaning for a mixed clip, so the log has none
    assert set(losses) - {'loss_cls'} == (set() if blending else {'top1_acc', 'top5_acc'})
    losses['loss_cls'].backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


# Averaged weights

WEIGHT = 'backbone.blocks.1.mlp.layers.1.weight'


class Recorder(Hook):
    """A weight after each step and before each batch of the validation."""
    priority = 'VERY_LOW'

    def __init__(self):
        self.trained, self.validated, self.ratios = [], [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.trained.append(runner.model.get_parameter(WEIGHT).detach().clone())
        self.ratios.append(runner.model.backbone.neck.token_keep_ratio)

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        self.validated.append(runner.model.get_parameter(WEIGHT).detach().clone())


def test_averaged_weights(cfg, tmp_path):
    """How they are resumed is in test_hooks/test_preemption.py."""
    average, = cfg.custom_hooks
    hooks = [dict(average, momentum=.1), dict(type='TokenKeepRatioWarmupHook', end=2)]
    runner = make_runner(write_config(tmp_path, f'custom_hooks = {hooks}'),
                         train_cfg__val_interval=1)
    seen = Recorder()
    runner.register_hook(seen)
    runner.train()
    averages = []
    for weight in seen.trained:
        averages.append(weight if not averages else .9 * averages[-1] + .1 * weight)
    assert len(averages) == 3 * 4 and (averages[-1] - seen.trained[-1]).abs().max() > 1e-4
    for epoch, validated in enumerate(seen.validated[::4]):  # of 4 batches
        torch.testing.assert_close(validated, averages[4 * epoch + 3])
    assert seen.ratios == pytest.approx([1.] * 4 + [.85] * 4 + [.7] * 4)
    # loaded as everything is: weights_only
    saved = CheckpointLoader.load_checkpoint(str(tmp_path / 'work/epoch_3.pth'))
    torch.testing.assert_close(saved['state_dict'][WEIGHT], averages[-1])
    torch.testing.assert_close(saved['ema_state_dict'][f'module.{WEIGHT}'], seen.trained[-1])
    assert saved['ema_state_dict']['steps'] == 12


# All together, through mim

CONFIG = """
_base_ = '{root}/configs/gaie_vitb_imigue_extras.py'
# large patches and a narrow, flat network; the pipeline and its sizes stay
model = dict(
    backbone=dict(patch_size=32, tubelet_size=4, embed_dims=24, depth=3, num_heads=2,
                  merge_layers=(0, 1), pretrained=None),
    cls_head=dict(in_channels=24))
# each of the 8 classes has 2 of the 16 clips: sqrt(0.2 * 8) = 1.3, so every clip comes twice
train_dataloader = dict(
    batch_size=5, num_workers=1,
    dataset=dict(oversample_thr=0.2,
                 dataset=dict(data_root='{data}', ann_file='train.csv', on_error='skip')))
val_dataloader = dict(num_workers=1, dataset=dict(data_root='{data}'))
test_dataloader = dict(num_workers=1, dataset=dict(data_root='{data}'))
test_evaluator = dict(out_file='{data}/prediction.csv')
optim_wrapper = dict(optimizer=dict(lr=1e-2), paramwise_cfg=dict(num_layers=3))
custom_hooks = [dict(type='EMAHook', momentum=0.1), dict(type='TokenKeepRatioWarmupHook', end=2)]
train_cfg = dict(max_epochs=3, val_interval=3)
default_hooks = dict(logger=dict(interval=1))
"""


@pytest.mark.slow
def test_all_together(root, tmp_path):
    prepare_release(tmp_path, train=2, test_labels=True)
    (tmp_path / 'config.py').write_text(CONFIG.format(root=root, data=tmp_path))
    work = tmp_path / 'work'
    config = tmp_path / 'config.py'
    launch(train_command(config, '--work-dir', work, '--cfg-options', 'train_cfg.max_epochs=2'),
           tmp_path)
    assert not (work / 'epoch_3.pth').exists()
    output = launch(train_command(config, '--work-dir', work, '--resume'), tmp_path)
    assert 'resumed epoch: 2' in output and 'There is no `ema_state_dict`' not in output

    entries = [json.loads(line) for path in sorted(work.glob('*/vis_data/scalars.json'))
               for line in path.read_text().splitlines()]
    train = {entry['iter']: entry for entry in entries if 'loss' in entry}
    # 16 clips, twice each, in batches of 5: the last batch is odd, and has 2 x 2 versions
    assert sorted(train) == list(range(1, 3 * 7 + 1))
    assert all(np.isfinite(entry['loss']) and entry['loss'] < 10 for entry in train.values())
    assert not any('top1_acc' in entry for entry in entries)

    # the test has the averaged weights, which are not those that were trained last
    path = work / 'epoch_3.pth'
    launch(test_command(config, path, '--work-dir', tmp_path / 'test', '--dump',
                        tmp_path / 'scores.pkl'), tmp_path)
    scores = [sample['pred_score'] for sample in
              pickle.loads((tmp_path / 'scores.pkl').read_bytes())]
    checkpoint = CheckpointLoader.load_checkpoint(str(path))
    trained = {key[7:]: value for key, value in checkpoint['ema_state_dict'].items()
               if key.startswith('module.')}
    cfg = Config.fromfile(tmp_path / 'config.py')
    averaged = predict(cfg, checkpoint['state_dict'])
    torch.testing.assert_close(torch.stack(scores), averaged, rtol=1e-3, atol=1e-5)
    assert (averaged - predict(cfg, trained)).abs().max() > 1e-3


def predict(cfg, weights):
    model = MODELS.build(cfg.model).eval()
    model.load_state_dict(weights)
    return predict_clips(model, DATASETS.build(cfg.test_dataloader.dataset))

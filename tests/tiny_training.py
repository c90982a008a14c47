"""A training of a second over invented clips, for what happens around training.

``python tests/tiny_training.py CONFIG`` trains; ``--resume`` goes on.
"""
import os
import signal
import sys
from pathlib import Path

import gaie_mmaction  # noqa: F401  isort: skip  # before mmaction, for the sake of mmcv 2.2

import torch
from mmaction.registry import DATASETS, HOOKS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from gaie_mmaction.policy import load_checkpoint_safely

CONFIG = """
_base_ = '{root}/configs/_base_/default_runtime.py'
custom_imports = dict(imports=['gaie_mmaction', 'tiny_training'], allow_failed_imports=False)
work_dir = '{work_dir}'
model = dict(
    type='Recognizer3D',
    backbone=dict(type='GAIEVisionTransformer', img_size=16, patch_size=8, embed_dims=8, depth=2,
                  num_heads=2, num_frames=4, tubelet_size=2, merge_layers=(0, ),
                  neck=dict(type='GAIENeck', token_keep_ratio=0.7)),
    cls_head=dict(type='TimeSformerHead', num_classes=4, in_channels=8, dropout_ratio=0.,
                  average_clips='prob'),
    data_preprocessor=dict(type='ActionDataPreprocessor', mean=[128.] * 3, std=[64.] * 3,
                           format_shape='NCTHW'))
train_dataloader = dict(
    batch_size=4, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='InventedClips', num_clips=16))
val_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='InventedClips', num_clips=7, test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(type='MiGASubmission', out_file='{work_dir}/prediction.csv')
test_evaluator = val_evaluator
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=3, val_interval=3)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-2), clip_grad=dict(max_norm=1.))
param_scheduler = dict(type='CosineAnnealingLR', T_max=3, end=3, by_epoch=True,
                       convert_to_iter_based=True)
custom_hooks = [dict(type='LossLog')]
default_hooks = dict(logger=dict(interval=1))
randomness = dict(seed=0)
env_cfg = dict(dist_cfg=dict(backend='gloo'))
"""

# put behind CONFIG: masked pretraining on the same clips
MASKED = """
model = dict(
    _delete_=True, type='MaskedVideoModel', mask_ratio=.5, decoder_depth=1, decoder_dims=8,
    decoder_heads=2,
    backbone=dict(type='GAIEVisionTransformer', img_size=16, patch_size=4, embed_dims=8, depth=1,
                  num_heads=2, num_frames=4),
    data_preprocessor=dict(type='ActionDataPreprocessor', mean=[128.] * 3, std=[64.] * 3,
                           format_shape='NCTHW'))
val_dataloader = val_evaluator = val_cfg = test_dataloader = test_evaluator = test_cfg = None
custom_hooks = [dict(type='LossLog'), dict(type='StepSeedHook')]
"""


@DATASETS.register_module(force=True)  # it is also run as a script
class InventedClips(BaseDataset):
    """Noise whose brightness follows the label; clip ``k`` is the same in each run.

    Frames of clip ``broken`` are NaN; the process that reads clip ``kills_worker`` dies.
    """

    METAINFO = dict(classes=list('abcd'))

    def __init__(self, num_clips, broken=-1, kills_worker=-1, labelled=True, **kwargs):
        self.num_clips, self.broken, self.kills_worker = num_clips, broken, kills_worker
        self.labelled = labelled
        super().__init__(**kwargs)

    def load_data_list(self):
        return [dict(clip_id=f'0001_{k}', label=k % 4) for k in range(self.num_clips)]

    def prepare_data(self, idx):
        if idx == self.kills_worker:
            os.kill(os.getpid(), 9)
        info = self.get_data_info(idx)
        generator = torch.Generator().manual_seed(idx)
        clip = torch.randint(0, 96, (1, 3, 4, 16, 16), generator=generator, dtype=torch.uint8)
        clip += 40 * info['label']
        if idx == self.broken:
            clip = clip.float() * float('nan')
        sample = ActionDataSample(metainfo=dict(clip_id=info['clip_id']))
        label = info['label'] if self.labelled else -1
        return dict(inputs=clip, data_samples=sample.set_gt_label(label))


@HOOKS.register_module(force=True)
class LossLog(Hook):
    """A line ``iteration rank loss memory`` a step in ``losses.txt``, of all processes.

    Memory is the resident part of the process, pages.
    """

    def before_train(self, runner):
        self.file = open(Path(runner.work_dir) / 'losses.txt', 'a', buffering=1)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        memory = Path('/proc/self/statm').read_text().split()[1]
        self.file.write(f'{runner.iter + 1} {get_rank()} {outputs["loss"].item()!r} {memory}\n')


@HOOKS.register_module(force=True)
class SignalOneProcess(Hook):
    """SIGTERM to the last process alone, once, at a step or in the validation after it."""

    def __init__(self, step, in_validation=False):
        self.step, self.in_validation = step, in_validation

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if not self.in_validation and runner.iter + 1 == self.step:
            self._signal(runner)

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        if self.in_validation and (runner.iter, batch_idx) == (self.step, 0):
            self._signal(runner)

    def _signal(self, runner):
        resumed = (Path(runner.work_dir) / 'preempted.pth').exists()
        if get_rank() == get_world_size() - 1 and not resumed:
            os.kill(os.getpid(), signal.SIGTERM)


def write_config(folder, more=''):
    """Write ``config.py`` into a folder; the work folder is ``work`` in it."""
    root = Path(__file__).resolve().parents[1]
    path = Path(folder) / 'config.py'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name('base.py').write_text(CONFIG.format(root=root, work_dir=path.parent / 'work'))
    path.write_text(f"_base_ = 'base.py'\n{more}")
    return path


def make_runner(config, resume=False, **options):
    """A runner of the config, in this process; ``a__b=1`` stands for ``--cfg-options a.b=1``."""
    cfg = Config.fromfile(config)
    cfg.merge_from_dict({key.replace('__', '.'): value for key, value in options.items()})
    cfg.merge_from_dict(dict(resume=resume, experiment_name=f'run_{os.urandom(8).hex()}'))
    return Runner.from_cfg(cfg)


def assert_same_weights(work, other, name='epoch_3.pth', parts=('state_dict', 'ema_state_dict'),
                        **tolerance):
    """Two trainings have ended alike."""
    mine, expected = (load_checkpoint_safely(str(folder / name)) for folder in (work, other))
    assert mine['meta']['iter'] == expected['meta']['iter']
    for part in parts:
        assert mine[part].keys() == expected[part].keys()
        for key, value in expected[part].items():
            torch.testing.assert_close(mine[part][key], value, **tolerance)


def read_losses(work):
    """Mean loss over the processes by iteration, the last of each; without cut lines."""
    found = {}
    for line in (Path(work) / 'losses.txt').read_text().split('\n')[:-1]:
        step, rank, loss, _ = line.split()
        found.setdefault(int(step), {})[int(rank)] = float(loss)
    return {step: sum(losses.values()) / len(losses) for step, losses in found.items()}


if __name__ == '__main__':
    torch.set_num_threads(1)
    make_runner(sys.argv[1], '--resume' in sys.argv).train()

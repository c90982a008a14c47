# A small detector on the features of gaie_windows_demo.py.
_base_ = 'detector_imigue.py'

data_root = 'data/demo_spotting/spotting'

model = dict(backbone=dict(in_channels=96, embed_dims=64, num_levels=3, radius=8))
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        _delete_=True, type='RepeatDataset', times=16,
        dataset=dict(
            type='FeatureSequenceDataset', features='train.npz', ann_file='train_segments.csv',
            data_root=data_root,
            pipeline=[dict(type='SequenceCrop', max_steps=160), _base_.pack])))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = dict(dataset=dict(data_root=data_root))

train_cfg = dict(max_epochs=10, val_interval=10)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = param_scheduler[1].begin = 1
param_scheduler[1].T_max, param_scheduler[1].end = 9, 10
default_hooks = dict(checkpoint=dict(interval=5, max_keep_ckpts=1))
auto_scale_lr = dict(base_batch_size=8)
randomness = dict(seed=0)

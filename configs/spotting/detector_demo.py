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
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=1, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, T_max=9, end=10, eta_min=1e-5, by_epoch=True,
         convert_to_iter_based=True)
]
default_hooks = dict(checkpoint=dict(interval=5, max_keep_ckpts=1))
auto_scale_lr = dict(base_batch_size=8)
randomness = dict(seed=0)

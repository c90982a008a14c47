# A small transformer over joints, trained or finetuned within minutes on one CPU core, for the
# synthetic dataset of tools/data/make_demo_release.py.
_base_ = '../mamp_imigue_joint.py'

data_root = 'data/demo'

model = dict(
    backbone=dict(
        num_frames=32, temporal_patch=8, embed_dims=48, depth=4, num_heads=4, drop_path_rate=0.1),
    cls_head=dict(in_channels=48, dropout=0.))

train_pipeline = _base_.train_pipeline
test_pipeline = _base_.test_pipeline
train_pipeline[3].clip_len = test_pipeline[2].clip_len = 32
train_dataloader = dict(
    batch_size=16, num_workers=1,
    dataset=dict(data_root=data_root, split='train', pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(
    num_workers=1, dataset=dict(data_root=data_root, pipeline=test_pipeline))

train_cfg = dict(max_epochs=30, val_interval=30)
# one rate for all: so few blocks have no layers to tell apart
optim_wrapper = dict(
    optimizer=dict(lr=1e-3),
    paramwise_cfg=dict(_delete_=True, norm_decay_mult=0., bias_decay_mult=0.),
    clip_grad=dict(max_norm=1.))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, end=2, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=2, T_max=28, end=30, by_epoch=True,
         convert_to_iter_based=True)
]
default_hooks = dict(checkpoint=dict(interval=10, max_keep_ckpts=1))
auto_scale_lr = dict(base_batch_size=16)
randomness = dict(seed=0)

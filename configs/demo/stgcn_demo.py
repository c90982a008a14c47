# A narrow ST-GCN on joints, trained from scratch within a few minutes on one CPU core, for the
# synthetic dataset of tools/data/make_demo_release.py.
_base_ = '../stgcn_imigue_joint.py'

data_root = 'data/demo'

model = dict(
    backbone=dict(base_channels=16, num_stages=6, inflate_stages=[3, 5], down_stages=[3, 5]),
    cls_head=dict(in_channels=64))

train_pipeline = _base_.train_pipeline
val_pipeline = _base_.val_pipeline
test_pipeline = _base_.test_pipeline
train_pipeline[3].clip_len = val_pipeline[2].clip_len = test_pipeline[2].clip_len = 32
train_dataloader = dict(
    batch_size=16, num_workers=1,
    dataset=dict(data_root=data_root, split='train', pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=1, dataset=dict(data_root=data_root, pipeline=val_pipeline))
test_dataloader = dict(
    num_workers=1, dataset=dict(data_root=data_root, pipeline=test_pipeline))

train_cfg = dict(max_epochs=12, val_interval=12)
optim_wrapper = dict(optimizer=dict(lr=0.1))
param_scheduler = dict(T_max=12, end=12)
default_hooks = dict(checkpoint=dict(interval=6, max_keep_ckpts=1))
auto_scale_lr = dict(base_batch_size=16)
randomness = dict(seed=0)

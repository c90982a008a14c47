# A narrow ProtoGesture, trained from scratch, for the synthetic dataset of
# tools/data/make_demo_release.py
_base_ = '../multimodal/protogesture_imigue.py'

data_root = 'data/demo'
load_from = None

model = dict(
    backbone=dict(
        rgb_pathway=dict(base_channels=16, stage_blocks=(1, 1, 1, 1)),
        pose_pathway=dict(base_channels=8, stage_blocks=(1, 1, 1))),
    cls_head=dict(in_channels=(512, 128)),
    # statistics of frames without their mean: see SubtractClipMean
    data_preprocessor=dict(preprocessors=dict(imgs=dict(mean=[128.] * 3, std=[29.] * 3))))

train_pipeline = _base_.train_pipeline
val_pipeline = _base_.val_dataloader.dataset.pipeline
test_pipeline = _base_.test_pipeline
train_pipeline[5].scale = val_pipeline[5].scale = test_pipeline[5].scale = (112, 112)
train_pipeline[7].scale = (96, 96)
val_pipeline[6].crop_size = test_pipeline[6].crop_size = 96
test_pipeline[2].num_clips = 1
train_pipeline.insert(10, dict(type='SubtractClipMean'))
val_pipeline.insert(8, dict(type='SubtractClipMean'))
test_pipeline.insert(8, dict(type='SubtractClipMean'))
train_dataloader = dict(
    batch_size=16, num_workers=1,
    dataset=dict(data_root=data_root, ann_file='train.csv', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=16, num_workers=1, dataset=dict(data_root=data_root, pipeline=val_pipeline))
test_dataloader = dict(
    batch_size=16, num_workers=1, dataset=dict(data_root=data_root, pipeline=test_pipeline))

train_cfg = dict(max_epochs=12, val_interval=12)
optim_wrapper = dict(optimizer=dict(lr=0.02))
param_scheduler = dict(_delete_=True, type='CosineAnnealingLR', T_max=12, end=12, by_epoch=True,
                       convert_to_iter_based=True)
default_hooks = dict(checkpoint=dict(interval=6, max_keep_ckpts=1))
auto_scale_lr = dict(base_batch_size=16)
randomness = dict(seed=0)

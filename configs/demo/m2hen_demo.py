# A small M2HEN, trained from scratch, for the synthetic dataset of tools/data/make_demo_release.py.
_base_ = '../multimodal/m2hen_imigue.py'

data_root = 'data/demo'

model = dict(
    backbone=dict(
        img_size=96, embed_dims=96, depth=6, num_heads=3, tubelet_size=4, pretrained=None,
        merge_layers=(2, 3, 4)),
    graph_backbone=dict(base_channels=16, num_stages=6, inflate_stages=[3, 5], down_stages=[3, 5]),
    cls_head=dict(in_channels=(96, 64)),
    # statistics of frames without their mean: see SubtractClipMean
    data_preprocessor=dict(preprocessors=dict(imgs=dict(mean=[128.] * 3, std=[29.] * 3))))

train_pipeline = _base_.train_pipeline
test_pipeline = _base_.test_pipeline
train_pipeline[2].clip_len = test_pipeline[2].clip_len = dict(RGB=16, Pose=32)
train_pipeline[5].scale = test_pipeline[5].scale = (112, 112)
train_pipeline[7].scale = (96, 96)
test_pipeline[6].crop_size = 96
train_pipeline.insert(10, dict(type='SubtractClipMean'))
test_pipeline.insert(8, dict(type='SubtractClipMean'))
train_dataloader = dict(
    batch_size=16, num_workers=1, sampler=dict(max_clips=20),
    dataset=dict(data_root=data_root, ann_file='train.csv', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=16, num_workers=1, dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = dict(
    batch_size=16, num_workers=1, dataset=dict(data_root=data_root, pipeline=test_pipeline))

train_cfg = dict(max_epochs=12, val_interval=12)
# all from scratch: one rate for all
optim_wrapper = dict(
    optimizer=dict(lr=1e-3), paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=1.))),
    clip_grad=dict(max_norm=1.))
param_scheduler = dict(T_max=12, end=12)
default_hooks = dict(checkpoint=dict(interval=6, max_keep_ckpts=1))
auto_scale_lr = dict(base_batch_size=16)
randomness = dict(seed=0)

# A small VCLIP, trained from scratch, for the synthetic dataset of tools/data/make_demo_release.py,
# with text features of tools/data/text_features.py CLIP --out data/demo/text_features.npz
_base_ = '../multimodal/vclip_imigue.py'

data_root = 'data/demo'

model = dict(
    backbone=dict(
        img_size=96, embed_dims=96, depth=6, num_heads=3, tubelet_size=4, pretrained=None,
        merge_layers=(2, 3, 4)),
    pose_backbone=dict(base_channels=8, stage_blocks=(1, 1, 1)),
    cls_head=dict(in_channels=(96, 128), text_features=f'{data_root}/text_features.npz'),
    # statistics of frames without their mean: see SubtractClipMean
    data_preprocessor=dict(preprocessors=dict(imgs=dict(mean=[128.] * 3, std=[29.] * 3))))

train_pipeline = _base_.train_pipeline
test_pipeline = _base_.test_pipeline
train_pipeline[5].scale = test_pipeline[5].scale = (112, 112)
train_pipeline[7].scale = (96, 96)
test_pipeline[6].crop_size = 96
train_pipeline.insert(10, dict(type='SubtractClipMean'))
test_pipeline.insert(8, dict(type='SubtractClipMean'))
train_dataloader = dict(
    batch_size=16, num_workers=1,
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

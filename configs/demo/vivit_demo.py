# A small ViT, trained from scratch within minutes on two CPU cores, for the synthetic dataset of
# tools/data/make_demo_release.py
_base_ = '../vivit_vitb_imigue.py'

data_root = 'data/demo'
meta_keys = ('img_shape', 'clip_id', 'filename', 'start_frame', 'end_frame')

model = dict(
    backbone=dict(
        img_size=96, embed_dims=96, depth=6, num_heads=3, tubelet_size=4, pretrained=None),
    cls_head=dict(in_channels=96),
    # statistics of frames without their mean: see SubtractClipMean
    data_preprocessor=dict(mean=[128., 128., 128.], std=[29., 29., 29.]))

train_pipeline = [
    dict(type='ClipInit'),
    dict(type='UniformSample', clip_len=16),
    dict(type='ClipDecode'),
    dict(type='Resize', scale=(-1, 104)),
    dict(type='CenterCrop', crop_size=104),  # square, so that portrait videos fit too
    dict(type='RandomCrop', size=96),
    dict(type='Flip', flip_ratio=0.5),
    dict(type='SubtractClipMean'),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=meta_keys)
]
test_pipeline = [
    dict(type='ClipInit'),
    dict(type='UniformSample', clip_len=16, test_mode=True),
    dict(type='ClipDecode'),
    dict(type='Resize', scale=(-1, 104)),
    dict(type='CenterCrop', crop_size=96),
    dict(type='SubtractClipMean'),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=meta_keys)
]
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    dataset=dict(
        data_root=data_root,
        ann_file='train.csv',
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=16, num_workers=2, dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = dict(
    batch_size=16, num_workers=2, dataset=dict(data_root=data_root, pipeline=test_pipeline))

train_cfg = dict(max_epochs=12, val_interval=12)
optim_wrapper = dict(optimizer=dict(lr=1e-3), clip_grad=dict(max_norm=1.))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, end=2, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=2, T_max=10, end=12, by_epoch=True,
         convert_to_iter_based=True)
]
default_hooks = dict(checkpoint=dict(interval=6, max_keep_ckpts=1))
auto_scale_lr = dict(base_batch_size=16)
randomness = dict(seed=0)

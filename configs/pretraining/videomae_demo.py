# The demo's small ViT, pretrained on the training part of the synthetic dataset.
_base_ = 'videomae_vitb_imigue.py'

model = dict(
    backbone=dict(
        img_size=96, embed_dims=96, depth=6, num_heads=3, tubelet_size=4, pretrained=None),
    mask_ratio=0.75, decoder_depth=2, decoder_dims=64, decoder_heads=2)
train_pipeline = [
    dict(type='ClipInit'),
    dict(type='UniformSample', clip_len=16),
    dict(type='ClipDecode'),
    dict(type='Resize', scale=(-1, 104)),
    dict(type='CenterCrop', crop_size=(112, 104)),
    dict(type='RandomCrop', size=96),
    dict(type='Flip', flip_ratio=0.5),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=_base_.meta_keys)
]
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    dataset=dict(data_root='data/demo', ann_file='train.csv', pipeline=train_pipeline))
train_cfg = dict(max_epochs=20)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=2, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=2, T_max=18, end=20, by_epoch=True,
         convert_to_iter_based=True)
]
default_hooks = dict(checkpoint=dict(interval=10, max_keep_ckpts=1))
randomness = dict(seed=0)

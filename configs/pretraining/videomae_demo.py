# The demo's small ViT, pretrained on the windows that tools/demo_pretraining.py writes: the frames
# without their mean, as the demo's networks see them.
_base_ = 'videomae_vitb_imigue.py'

model = dict(
    backbone=dict(
        img_size=96, embed_dims=96, depth=6, num_heads=3, tubelet_size=4, pretrained=None),
    mask_ratio=0.75, decoder_depth=2, decoder_dims=64, decoder_heads=2,
    # where nothing moves, normalized targets would be amplified noise
    normalize_target=False,
    data_preprocessor=dict(mean=[128., 128., 128.], std=[29., 29., 29.]))
train_pipeline = [
    dict(type='ClipInit'),
    dict(type='SampleFrames', clip_len=16, frame_interval=2),
    dict(type='ClipDecode'),
    dict(type='Resize', scale=(-1, 104)),
    dict(type='CenterCrop', crop_size=104),  # square, so that portrait videos fit too
    dict(type='SubtractClipMean'),
    dict(
        type='RepeatAugment',
        num_repeats=4,
        transforms=[
            dict(type='RandomCrop', size=96),
            dict(type='Flip', flip_ratio=0.5),
            dict(type='FormatShape', input_format='NCTHW'),
            dict(type='PackActionInputs', meta_keys=_base_.meta_keys)
        ])
]
train_dataloader = dict(
    batch_size=4,
    num_workers=2,
    dataset=dict(data_root='data/demo', pipeline=train_pipeline))
train_cfg = dict(max_epochs=4)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
auto_scale_lr = dict(base_batch_size=4)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=1, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, T_max=3, end=4, by_epoch=True,
         convert_to_iter_based=True)
]
default_hooks = dict(checkpoint=dict(interval=4, max_keep_ckpts=1))
randomness = dict(seed=0)

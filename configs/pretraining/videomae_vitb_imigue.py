# Masked pretraining of the ViT-B on the unlabelled windows of tools/data/make_windows.py, starting
# from the Kinetics-400 weights: VideoMAE's authors and users report that short pretraining from
# scratch fails; it was not tried here. VideoMAE's recipe, lr 1.5e-4 for a batch of 256 scaled
# linearly to one GPU's 32: 8 windows, 4 samples of each.
_base_ = [
    '../_base_/models/vit_base_p16.py', '../_base_/datasets/imigue.py',
    '../_base_/default_runtime.py'
]

backbone = _base_.model.backbone
model = dict(
    _delete_=True,
    type='MaskedVideoModel',
    backbone=dict(backbone, with_cp=False),
    mask_ratio=0.9,
    data_preprocessor=_base_.model.data_preprocessor)

train_pipeline = [
    dict(type='ClipInit'),
    dict(type='SampleFrames', clip_len=16, frame_interval=2),
    dict(type='ClipDecode'),
    dict(type='Resize', scale=(-1, 256)),
    # decoded once for 4 crops, each with a mask of its own
    dict(
        type='RepeatAugment',
        num_repeats=4,
        transforms=[
            dict(type='RandomResizedCrop', area_range=(0.5, 1.0)),
            dict(type='Resize', scale=(224, 224), keep_ratio=False),
            dict(type='Flip', flip_ratio=0.5),
            dict(type='FormatShape', input_format='NCTHW'),
            dict(type='PackActionInputs', meta_keys=_base_.meta_keys)
        ])
]
train_dataloader = dict(
    batch_size=8,
    persistent_workers=False,  # StepSeedHook
    collate_fn=dict(type='repeat_pseudo_collate'),
    dataset=dict(ann_file='windows.csv', pipeline=train_pipeline))
# nothing to validate or test: a pretrained model has no classes
val_dataloader = val_evaluator = val_cfg = None
test_dataloader = test_evaluator = test_cfg = None

# 100 samples of each window
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=25)
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1.5e-4 * 32 / 256, betas=(0.9, 0.95), weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0., bias_decay_mult=0., flat_decay_mult=0.,
        custom_keys=dict(mask_token=dict(decay_mult=0.))))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=2, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=2, T_max=23, end=25, eta_min=1e-7, by_epoch=True,
         convert_to_iter_based=True)
]
auto_scale_lr = dict(enable=False, base_batch_size=8)  # windows, as the loader counts
custom_hooks = [dict(type='StepSeedHook')]

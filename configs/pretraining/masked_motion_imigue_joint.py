# MAMP's masked motion pretraining on iMiGUE's 22 joints, labels unused. Finetune on the result by
# model.backbone.pretrained=CHECKPOINT. The recipe is MAMP's of NTU RGB+D: lr 1e-3 to 5e-4 for a
# batch of 128, scaled linearly to 64 clips on one GPU.
_base_ = '../mamp_imigue_joint.py'

model = dict(
    _delete_=True,
    type='MaskedMotionModel',
    backbone=dict(_base_.model.backbone, drop_path_rate=0.),
    mask_ratio=0.9,
    temperature=0.8,
    decoder_depth=5,
    target_channels=2)  # the score is no coordinate

# nothing to validate or test: a pretrained model has no classes
val_dataloader = val_evaluator = val_cfg = None
test_dataloader = test_evaluator = test_cfg = None

train_dataloader = dict(persistent_workers=False)  # StepSeedHook

train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=400)
optim_wrapper = dict(
    optimizer=dict(lr=1e-3 * 64 / 128, betas=(0.9, 0.95)),
    paramwise_cfg=dict(
        _delete_=True, norm_decay_mult=0., bias_decay_mult=0., flat_decay_mult=0.))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=20, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=20, T_max=380, end=400, eta_min_ratio=0.5, by_epoch=True,
         convert_to_iter_based=True)
]
default_hooks = dict(checkpoint=dict(interval=20))
custom_hooks = [dict(type='StepSeedHook')]

# The demo's small transformer, pretrained on the training part of the synthetic dataset.
_base_ = '../demo/mamp_demo.py'

model = dict(
    _delete_=True,
    type='MaskedMotionModel',
    backbone=dict(_base_.model.backbone, drop_path_rate=0.),
    mask_ratio=0.75,  # 88 tokens: 90 % of them would leave nine
    decoder_depth=2, decoder_dims=48, decoder_heads=4, target_channels=2)

val_dataloader = val_evaluator = val_cfg = None
test_dataloader = test_evaluator = test_cfg = None

train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=60)
optim_wrapper = dict(optimizer=dict(betas=(0.9, 0.95)))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=3, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=3, T_max=57, end=60, by_epoch=True,
         convert_to_iter_based=True)
]
default_hooks = dict(checkpoint=dict(interval=20))
custom_hooks = [dict(type='StepSeedHook')]

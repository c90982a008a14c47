# MMAction2's recipe for VideoSwin on Kinetics-400: lr 1e-3 for a batch of 64 (a tenth of it in the
# backbone), scaled linearly to 2 clips on each of 2 GPUs, as in all RGB configs. MMAction2 trains
# it in mixed precision: add --amp on a GPU
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=30, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    constructor='SwinOptimWrapperConstructor',
    paramwise_cfg=dict(
        absolute_pos_embed=dict(decay_mult=0.),
        relative_position_bias_table=dict(decay_mult=0.),
        norm=dict(decay_mult=0.),
        backbone=dict(lr_mult=0.1)),
    optimizer=dict(type='AdamW', lr=1e-3 * 4 / 64, betas=(0.9, 0.999), weight_decay=0.05))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=True, begin=0, end=2.5,
         convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=30, eta_min=0, by_epoch=True, begin=0, end=30)
]

auto_scale_lr = dict(enable=False, base_batch_size=4)

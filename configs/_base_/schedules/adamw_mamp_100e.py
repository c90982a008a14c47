# MAMP's finetuning: lr 3e-4 to 1e-5 for a batch of 48, scaled linearly to 64 clips on one GPU, with
# a layer-wise decay of 0.8
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100, val_interval=5)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=3e-4 * 64 / 48, weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0.,
        bias_decay_mult=0.,
        # the longest key that fits counts
        custom_keys={
            'backbone': dict(lr_mult=0.8**9),  # embedding and positions
            **{f'backbone.blocks.{k}': dict(lr_mult=0.8**(8 - k)) for k in range(8)},
            'backbone.norm': dict(lr_mult=1.)
        }))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=5, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=5, T_max=95, end=100, eta_min_ratio=1 / 30, by_epoch=True,
         convert_to_iter_based=True)
]

auto_scale_lr = dict(enable=False, base_batch_size=64)

# the paper's: 30 epochs, cosine from lr 2e-5 to 2e-6, 2 clips on each of 2 GPUs
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=30, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(optimizer=dict(type='AdamW', lr=2e-5, weight_decay=0.05))
param_scheduler = dict(
    type='CosineAnnealingLR', eta_min=2e-6, T_max=30, end=30, by_epoch=True,
    convert_to_iter_based=True)

auto_scale_lr = dict(enable=False, base_batch_size=4)

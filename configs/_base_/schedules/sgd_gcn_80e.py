# MMAction2's recipe for GCNs on NTU RGB+D: 16 epochs of 5 repeats, lr 0.1 for a batch of 128,
# scaled linearly to 64 clips on one GPU
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=80, val_interval=5)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    optimizer=dict(
        type='SGD', lr=0.1 * 64 / 128, momentum=0.9, weight_decay=5e-4, nesterov=True))
param_scheduler = dict(
    type='CosineAnnealingLR', eta_min=0, T_max=80, end=80, by_epoch=True,
    convert_to_iter_based=True)

auto_scale_lr = dict(enable=False, base_batch_size=64)

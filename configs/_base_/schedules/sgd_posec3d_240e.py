# MMAction2's recipe for PoseC3D on NTU RGB+D: 24 epochs of 10 repeats, lr 0.2 for a batch of 128,
# scaled linearly to 16 clips on one GPU
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=240, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.2 * 16 / 128, momentum=0.9, weight_decay=3e-4),
    clip_grad=dict(max_norm=40, norm_type=2))
param_scheduler = dict(
    type='CosineAnnealingLR', eta_min=0, T_max=240, end=240, by_epoch=True,
    convert_to_iter_based=True)

auto_scale_lr = dict(enable=False, base_batch_size=16)

# MMAction2's recipe for RGBPoseConv3D on NTU RGB+D: lr 0.0075 for a batch of 48, scaled linearly to
# 6 clips on one GPU
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=20, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.0075 * 6 / 48, momentum=0.9, weight_decay=1e-4),
    clip_grad=dict(max_norm=40, norm_type=2))
param_scheduler = dict(
    type='MultiStepLR', begin=0, end=20, by_epoch=True, milestones=[12, 16], gamma=0.1)

auto_scale_lr = dict(enable=False, base_batch_size=6)

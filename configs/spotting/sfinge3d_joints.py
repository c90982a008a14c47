# Detector on hand joints, trained on untrimmed sequences that are joined from cut clips: SFINGE 3D,
# as tools/analysis/spotting_study.py lays it out.
_base_ = 'detector_imigue.py'

sfinge3d = dict(data_root='data/sfinge3d',
                metainfo=dict(classes=[f'gesture {number}' for number in range(1, 14)]))

model = dict(
    num_classes=13, backbone=dict(in_channels=120, embed_dims=64, num_levels=4, radius=8))
train_dataloader = dict(batch_size=8, dataset=dict(
    _delete_=True, type='JoinedSequenceDataset', length=400,
    dataset=dict(type='FeatureSequenceDataset', features='clips.npz', ann_file='clips.csv',
                 **sfinge3d),
    pipeline=[
        dict(type='RandomTimeScale'),
        dict(type='RandomJointTransform'),
        dict(type='JointMotion', stride=2), _base_.pack
    ]))
val_dataloader = test_dataloader = dict(batch_size=8, dataset=dict(
    features='streams.npz', ann_file='streams.csv',
    pipeline=[dict(type='JointMotion', stride=2), _base_.pack], **sfinge3d))

# the streams are the test: nothing is chosen by them in training
train_cfg = dict(max_epochs=8, val_interval=8)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = param_scheduler[1].begin = 1
param_scheduler[1].T_max, param_scheduler[1].end = 7, 8
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=1))
auto_scale_lr = dict(base_batch_size=8)
randomness = dict(seed=0)

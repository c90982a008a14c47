# Detector on SMG's joints; data of tools/data/prepare_smg.py.
_base_ = 'detector_imigue.py'

smg = dict(data_root='data/smg/spotting', metainfo=dict(dataset='smg'))

model = dict(num_classes=17, backbone=dict(in_channels=150, embed_dims=128))
train_dataloader = dict(dataset=dict(
    features='train_joints.npz',
    pipeline=[
        dict(type='SequenceCrop', max_steps=2048),
        dict(type='RandomJointTransform'),
        dict(type='JointMotion', stride=2), _base_.pack
    ],
    **smg))
test = dict(features='test_joints.npz', ann_file='test_segments.csv',
            pipeline=[dict(type='JointMotion', stride=2), _base_.pack], **smg)
val_dataloader = dict(dataset=test)
test_dataloader = dict(dataset=test)
# there is no validation part: the test part is evaluated after the last epoch alone
train_cfg = dict(max_epochs=100, val_interval=100)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = param_scheduler[1].begin = 10
param_scheduler[1].T_max, param_scheduler[1].end = 90, 100

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
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=10, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=10, T_max=90, end=100, eta_min=1e-5, by_epoch=True,
         convert_to_iter_based=True)
]

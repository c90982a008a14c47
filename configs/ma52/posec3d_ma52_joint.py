# PoseC3D on Micro-Action-52's OpenPose skeletons, heat-maps of the 28 joints.
_base_ = ['../posec3d_imigue_joint.py', '../_base_/datasets/ma52.py']

layout = 'ma52'
model = dict(backbone=dict(in_channels=28), cls_head=dict(num_classes=52))

train_pipeline, val_pipeline = _base_.train_pipeline, _base_.val_pipeline
test_pipeline = _base_.test_pipeline
train_pipeline[7].layout = train_pipeline[8].layout = layout
val_pipeline[6].layout = test_pipeline[6].layout = layout
train_dataloader = dict(dataset=dict(split='train', pipeline=train_pipeline, **_base_.ma52_pose))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline, **_base_.ma52_pose))
# the test part has no labels
test_dataloader = dict(dataset=dict(split='val', pipeline=test_pipeline, **_base_.ma52_pose))
val_evaluator = test_evaluator = dict(_delete_=True, type='MicroActionF1')

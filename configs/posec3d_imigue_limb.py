# PoseC3D, heat-maps of the 21 limbs, the edges of the joints' tree.
_base_ = 'posec3d_imigue_joint.py'

model = dict(backbone=dict(in_channels=21))

train_pipeline = _base_.train_pipeline
val_pipeline = _base_.val_pipeline
test_pipeline = _base_.test_pipeline
train_pipeline[-3].kind = val_pipeline[-3].kind = test_pipeline[-3].kind = 'limb'
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

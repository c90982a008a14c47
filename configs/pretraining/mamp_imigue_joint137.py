# The same on OpenPose's 137 joints: see ../mamp_imigue_joint137.py.
_base_ = 'mamp_imigue_joint.py'

layout = 'openpose137'
model = dict(backbone=dict(num_joints=137, num_frames=60))

train_pipeline = _base_.train_pipeline
train_pipeline[1].layout = train_pipeline[2].layout = layout
train_pipeline[3].clip_len = 60
train_dataloader = dict(
    dataset=dict(ann_file='skeleton137.pkl', layout=layout, pipeline=train_pipeline))

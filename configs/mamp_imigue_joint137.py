# MAMP's transformer on all of OpenPose's joints: body, face and every joint of the hands.
# tools/data/prepare_imigue.py --joints 137 makes the skeletons. 60 frames, since 137 joints are
# six times as many tokens.
_base_ = 'mamp_imigue_joint.py'

layout = 'openpose137'
model = dict(backbone=dict(num_joints=137, num_frames=60, with_cp=True))

train_pipeline = _base_.train_pipeline
test_pipeline = _base_.test_pipeline
train_pipeline[1].layout = train_pipeline[2].layout = test_pipeline[1].layout = layout
train_pipeline[3].clip_len = test_pipeline[2].clip_len = 60
dataset = dict(ann_file='skeleton137.pkl', layout=layout)
train_dataloader = dict(dataset=dict(dataset, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(dataset, pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(dataset, pipeline=test_pipeline))

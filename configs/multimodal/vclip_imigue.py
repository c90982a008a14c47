# CLIP-guided RGB + skeleton network; 16 frames and 48 heat-maps
_base_ = [
    '../_base_/models/vclip.py', '../_base_/datasets/imigue_rgbpose.py',
    '../_base_/schedules/adamw_multimodal_30e.py', '../_base_/default_runtime.py'
]

train_pipeline = _base_.train_pipeline
test_pipeline = _base_.test_pipeline
train_pipeline[2].clip_len = test_pipeline[2].clip_len = dict(RGB=16, Pose=48)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

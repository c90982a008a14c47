# MAMP's transformer, joints. From scratch as it is; give the weights of pretraining by
# model.backbone.pretrained=CHECKPOINT.
_base_ = [
    '_base_/models/skeleton_transformer.py', '_base_/datasets/imigue_pose_resampled.py',
    '_base_/schedules/adamw_mamp_100e.py', '_base_/default_runtime.py'
]

model = dict(
    backbone=dict(drop_path_rate=0.3), cls_head=dict(dropout=0.3, label_smooth_eps=0.1))

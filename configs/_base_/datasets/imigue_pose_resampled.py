# Skeletons of iMiGUE for a transformer: temporal crops of 50 to 100 % of a clip, interpolated to
# 120 frames, as in MAMP. Rotation is in the image plane; its range is our choice.
_base_ = 'imigue_pose.py'

train_pipeline = [
    dict(type='FillMissingJoints'),
    dict(type='SkeletonFlip', flip_ratio=0.5),  # no class of iMiGUE names a side
    dict(type='SkeletonStream', stream='joint'),
    dict(type='SkeletonResample', clip_len=120, crop_range=(0.5, 1.)),
    dict(type='SkeletonJitter', num_coords=2, rotation=0.2, scale=0.1),
    dict(type='FormatGCNInput', num_person=1),
    dict(type='PackActionInputs', meta_keys=_base_.meta_keys)
]
test_pipeline = [
    dict(type='FillMissingJoints'),
    dict(type='SkeletonStream', stream='joint'),
    dict(type='SkeletonResample', clip_len=120),
    dict(type='FormatGCNInput', num_person=1),
    dict(type='PackActionInputs', meta_keys=_base_.meta_keys)
]
val_pipeline = test_pipeline
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

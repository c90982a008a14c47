# Frames and joints of iMiGUE's clips, with the same sampling, crop and flip: 16 frames of 224 x 224
# and 96 skeletons, normalised by the crop, for graph convolutions; one view
_base_ = 'imigue_rgbpose.py'

collect_keys = ('imgs', 'keypoint')

train_pipeline = [
    dict(type='ClipInit'),
    dict(type='FillMissingJoints'),
    dict(type='MMSharedSampleFrames', clip_len=dict(RGB=16, Pose=96)),
    dict(type='MMClipDecode'),
    dict(type='SkeletonCompact'),
    dict(type='Resize', scale=(256, 256), keep_ratio=False),
    dict(type='RandomResizedCrop', area_range=(0.56, 1.0)),
    dict(type='Resize', scale=(224, 224), keep_ratio=False),
    dict(type='MaskMissingJoints'),
    dict(type='SkeletonFlip', flip_ratio=0.5),  # no class of iMiGUE names a side
    dict(type='SkeletonStream', stream='joint'),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='FormatGCNInput', num_person=1),
    dict(type='PackActionInputs', collect_keys=collect_keys, meta_keys=_base_.meta_keys)
]
test_pipeline = [
    dict(type='ClipInit'),
    dict(type='FillMissingJoints'),
    dict(type='MMSharedSampleFrames', clip_len=dict(RGB=16, Pose=96), test_mode=True),
    dict(type='MMClipDecode'),
    dict(type='SkeletonCompact'),
    dict(type='Resize', scale=(256, 256), keep_ratio=False),
    dict(type='CenterCrop', crop_size=224),
    dict(type='MaskMissingJoints'),
    dict(type='SkeletonStream', stream='joint'),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='FormatGCNInput', num_person=1),
    dict(type='PackActionInputs', collect_keys=collect_keys, meta_keys=_base_.meta_keys)
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

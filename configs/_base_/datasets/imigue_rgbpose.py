# Frames and heat-maps of iMiGUE's clips, with the same sampling, crop and flip: 8 frames of
# 224 x 224 and 32 heat-maps of 56 x 56 around the person, as MMAction2's RGBPoseConv3D takes them;
# one view
_base_ = 'imigue.py'

meta_keys = ('img_shape', 'clip_id', 'filename', 'start_frame', 'end_frame')
collect_keys = ('imgs', 'heatmap_imgs')

train_pipeline = [
    dict(type='ClipInit'),
    dict(type='FillMissingJoints'),
    dict(type='MMSharedSampleFrames', clip_len=dict(RGB=8, Pose=32)),
    dict(type='MMClipDecode'),
    dict(type='SkeletonCompact'),
    dict(type='Resize', scale=(256, 256), keep_ratio=False),
    dict(type='RandomResizedCrop', area_range=(0.56, 1.0)),
    dict(type='Resize', scale=(224, 224), keep_ratio=False),
    dict(type='MaskMissingJoints'),
    dict(type='SkeletonFlip', flip_ratio=0.5),  # no class of iMiGUE names a side
    dict(type='SkeletonHeatmap', kind='joint', sigma=0.7, scaling=0.25),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', collect_keys=collect_keys, meta_keys=meta_keys)
]
test_pipeline = [
    dict(type='ClipInit'),
    dict(type='FillMissingJoints'),
    dict(type='MMSharedSampleFrames', clip_len=dict(RGB=8, Pose=32), test_mode=True),
    dict(type='MMClipDecode'),
    dict(type='SkeletonCompact'),
    dict(type='Resize', scale=(256, 256), keep_ratio=False),
    dict(type='CenterCrop', crop_size=224),
    dict(type='MaskMissingJoints'),
    dict(type='SkeletonHeatmap', kind='joint', sigma=0.7, scaling=0.25),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', collect_keys=collect_keys, meta_keys=meta_keys)
]

# the split of the skeletons is the one with the name of ann_file
dataset_type = 'IMiGUEMultiModalDataset'
skeleton_file = 'skeleton.pkl'
train_dataloader = dict(
    dataset=dict(type=dataset_type, skeleton_file=skeleton_file, pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(type=dataset_type, skeleton_file=skeleton_file, pipeline=test_pipeline))
test_dataloader = dict(
    dataset=dict(type=dataset_type, skeleton_file=skeleton_file, pipeline=test_pipeline))

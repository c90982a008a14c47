# Skeletons of iMiGUE as tools/data/prepare_imigue.py writes them, for graph convolutions: 100
# frames spread over the clip, one person. One view in validation, ten in testing, as in MMAction2.
_base_ = 'imigue.py'

ann_file = 'skeleton.pkl'
meta_keys = ('img_shape', 'clip_id')
stream = dict(type='SkeletonStream', stream='joint')

train_pipeline = [
    dict(type='FillMissingJoints'),  # without it missing joints are masked: zeros
    dict(type='SkeletonFlip', flip_ratio=0.5),  # no class of iMiGUE names a side
    stream,
    dict(type='UniformSampleFrames', clip_len=100),
    dict(type='PoseDecode'),
    dict(type='FormatGCNInput', num_person=1),
    dict(type='PackActionInputs', meta_keys=meta_keys)
]
val_pipeline = [
    dict(type='FillMissingJoints'),
    stream,
    dict(type='UniformSampleFrames', clip_len=100, num_clips=1, test_mode=True),
    dict(type='PoseDecode'),
    dict(type='FormatGCNInput', num_person=1),
    dict(type='PackActionInputs', meta_keys=meta_keys)
]
test_pipeline = [
    dict(type='FillMissingJoints'),
    stream,
    dict(type='UniformSampleFrames', clip_len=100, num_clips=10, test_mode=True),
    dict(type='PoseDecode'),
    dict(type='FormatGCNInput', num_person=1),
    dict(type='PackActionInputs', meta_keys=meta_keys)
]

# Leaderboard entries train on both labelled parts, so the validation part measures nothing. To
# measure, set split of train_dataloader.dataset to holdout_train and that of
# val_dataloader.dataset to holdout_val: train and val share people.
train_dataloader = dict(
    batch_size=64,
    dataset=dict(
        _delete_=True,
        type='IMiGUEPoseDataset',
        data_root=_base_.data_root,
        ann_file=ann_file,
        split='trainval',
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=64,
    dataset=dict(
        _delete_=True,
        type='IMiGUEPoseDataset',
        data_root=_base_.data_root,
        ann_file=ann_file,
        split='val',
        pipeline=val_pipeline,
        test_mode=True))
test_dataloader = dict(
    batch_size=16,
    dataset=dict(
        _delete_=True,
        type='IMiGUEPoseDataset',
        data_root=_base_.data_root,
        ann_file=ann_file,
        split='test',
        pipeline=test_pipeline,
        test_mode=True))

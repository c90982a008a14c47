# iMiGUE as tools/data/prepare_imigue.py writes it; 16 frames, one view. All RGB configs share it.
data_root = 'data/imigue'
meta_keys = ('img_shape', 'clip_id', 'filename', 'start_frame', 'end_frame')

train_pipeline = [
    dict(type='ClipInit'),
    dict(type='UniformSample', clip_len=16),
    dict(type='ClipDecode'),
    dict(type='Resize', scale=(256, 256), keep_ratio=False),
    dict(type='RandomCrop', size=224),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=meta_keys)
]
test_pipeline = [
    dict(type='ClipInit'),
    dict(type='UniformSample', clip_len=16, test_mode=True),
    dict(type='ClipDecode'),
    dict(type='Resize', scale=(256, 256), keep_ratio=False),
    dict(type='CenterCrop', crop_size=224),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=meta_keys)
]

# Leaderboard entries train on both labelled parts, so the validation part measures nothing. To
# measure, set ann_file of train_dataloader.dataset to holdout_train.csv and that of
# val_dataloader.dataset to holdout_val.csv: train.csv and val.csv share people.
train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='IMiGUEDataset',
        data_root=data_root,
        ann_file='trainval.csv',
        data_prefix=dict(video='videos'),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='IMiGUEDataset',
        data_root=data_root,
        ann_file='val.csv',
        data_prefix=dict(video='videos'),
        pipeline=test_pipeline,
        test_mode=True))
test_dataloader = dict(
    batch_size=2,
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='IMiGUEDataset',
        data_root=data_root,
        ann_file='test.csv',
        data_prefix=dict(video='videos'),
        pipeline=test_pipeline,
        test_mode=True))

# The test part has no labels: prediction.csv goes to the work folder. For a labelled part,
# out_dir='folder' adds the recall of each class and a confusion matrix.
val_evaluator = dict(type='MiGASubmission')
test_evaluator = dict(type='MiGASubmission')

# Detector on features of windows: those that tools/extract_features.py writes with
# gaie_windows_imigue.py for train_dense.csv, val_dense.csv and test_dense.csv, as train.npz,
# val.npz and test.npz beside them.
_base_ = [
    '../_base_/models/temporal_detector.py', '../_base_/schedules/adamw_detector_30e.py',
    '../_base_/default_runtime.py'
]

data_root = 'data/imigue/spotting'
pack = dict(type='PackLocalizationInputs', keys=('segments', 'labels'),
            meta_keys=('video_name', 'first_frame', 'frame_stride', 'num_frames'))

train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='FeatureSequenceDataset',
        features='train.npz',
        ann_file='train_segments.csv',
        data_root=data_root,
        pipeline=[dict(type='SequenceCrop', max_steps=512), pack]))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='FeatureSequenceDataset',
        features='val.npz',
        ann_file='val_segments.csv',
        data_root=data_root,
        test_mode=True,
        pipeline=[pack]))
test_dataloader = dict(val_dataloader, dataset=dict(
    val_dataloader['dataset'], features='test.npz', ann_file='test_segments.csv'))
val_evaluator = test_evaluator = dict(type='SpottingF1')

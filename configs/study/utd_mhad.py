# Masked motion pretraining against training from scratch on UTD-MHAD's 20 joints, with few labels
# and all of them: run it by tools/analysis/skeleton_study.py.
_base_ = '../_base_/default_runtime.py'

model = dict(
    type='RecognizerGCN',
    backbone=dict(
        type='SkeletonTransformer', num_joints=20, num_frames=40, temporal_patch=5, embed_dims=64,
        depth=3, num_heads=4, drop_path_rate=0.1),
    cls_head=dict(type='GCNHead', num_classes=27, in_channels=64, label_smooth_eps=0.1))

# no mirror image: left and right hands, swipes and circles are different classes
train_pipeline = [
    dict(type='SkeletonResample', clip_len=40, crop_range=(0.6, 1.)),
    dict(type='SkeletonJitter', num_coords=3, rotation=0.3, scale=0.15, noise=0.005),
    dict(type='FormatGCNInput', num_person=1),
    dict(type='PackActionInputs', meta_keys=())
]
test_pipeline = [
    dict(type='SkeletonResample', clip_len=40),
    dict(type='FormatGCNInput', num_person=1),
    dict(type='PackActionInputs', meta_keys=())
]
# ann_file and split are the study's
train_dataloader = dict(
    batch_size=16, num_workers=0, sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type='PoseDataset', pipeline=train_pipeline))
test_dataloader = dict(
    batch_size=64, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='PoseDataset', pipeline=test_pipeline, test_mode=True))
test_evaluator = dict(type='AccMetric')
test_cfg = dict(type='TestLoop')


def schedule(iterations):
    """Five percent of warm-up, then a cosine."""
    return dict(
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=iterations),
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.02, end=iterations // 20, by_epoch=False),
            dict(type='CosineAnnealingLR', begin=iterations // 20, end=iterations, by_epoch=False,
                 T_max=iterations - iterations // 20)
        ])


optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0., bias_decay_mult=0.),
    clip_grad=dict(max_norm=1.))
auto_scale_lr = dict(enable=False, base_batch_size=16)

# the layout of ST-GCN's graph: (joint, its parent) each, from the outside to the hip
kinect = dict(
    num_node=20,
    inward=[(0, 1), (1, 2), (2, 3), (4, 1), (5, 4), (6, 5), (7, 6), (8, 1), (9, 8), (10, 9),
            (11, 10), (12, 3), (13, 12), (14, 13), (15, 14), (16, 3), (17, 16), (18, 17),
            (19, 18)],
    center=3)
stgcn = dict(
    _delete_=True, type='STGCN', num_person=1, base_channels=16, num_stages=6,
    inflate_stages=[3, 5], down_stages=[3, 5],
    graph_cfg=dict(layout=kinect, mode='stgcn_spatial'))

study = dict(
    seeds=5,
    # share of the labels of every class -> what it changes: fewer clips are learned sooner
    budgets={'0.1': schedule(600), '0.25': schedule(1200), '1.0': schedule(5000)},
    arms={
        'pretrained': {},
        'from scratch': {},
        'ST-GCN': dict(model=dict(backbone=stgcn)),
    },
    # on all clips of the training subjects, labels unused
    pretraining=dict(
        schedule(1200),
        model=dict(
            _delete_=True, type='MaskedMotionModel',
            backbone=dict(model['backbone'], drop_path_rate=0.), mask_ratio=0.8, decoder_depth=2,
            decoder_dims=64, decoder_heads=4),
        train_dataloader=dict(batch_size=32),
        optim_wrapper=dict(optimizer=dict(lr=2e-3, betas=(0.9, 0.95)))))

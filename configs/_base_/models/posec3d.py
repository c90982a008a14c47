# PoseC3D, "Revisiting Skeleton-based Action Recognition", arXiv 2104.13586: MMAction2's
# SlowOnly-R50 on heat-maps, from scratch
_base_ = '../heatmap_backbone.py'

model = dict(
    type='Recognizer3D',
    backbone=_base_.heatmap_backbone,
    cls_head=dict(
        type='I3DHead',
        in_channels=512,
        num_classes=32,
        dropout_ratio=0.5,
        average_clips='prob'))

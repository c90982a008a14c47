# "A multimodal micro-gesture classification model based on CLIP", MiGA-IJCAI 2024: GAIE-ViT of
# frames, PoseC3D of heat-maps, text features of the class names
_base_ = 'vit_base_p16.py'

model = dict(
    type='VCLIP',
    backbone=dict(neck=dict(type='GAIENeck', token_keep_ratio=0.7), merge_layers=(3, 6, 9)),
    pose_backbone=dict(
        type='ResNet3dSlowOnly',
        depth=50,
        pretrained=None,
        in_channels=22,
        base_channels=32,
        num_stages=3,
        out_indices=(2, ),
        stage_blocks=(4, 6, 3),
        conv1_stride_s=1,
        pool1_stride_s=1,
        inflate=(0, 1, 1),
        spatial_strides=(2, 2, 2),
        temporal_strides=(1, 1, 2),
        dilations=(1, 1, 1)),
    cls_head=dict(
        _delete_=True,
        type='VCLIPHead',
        num_classes=32,
        in_channels=(768, 512),
        # of tools/data/text_features.py
        text_features='data/imigue/text_features.npz',
        average_clips='prob'),
    data_preprocessor=dict(
        _delete_=True,
        type='MultiModalDataPreprocessor',
        preprocessors=dict(
            imgs=dict(
                type='ActionDataPreprocessor',
                mean=[123.675, 116.28, 103.53],
                std=[58.395, 57.12, 57.375],
                format_shape='NCTHW'),
            heatmap_imgs=dict(type='ActionDataPreprocessor'))))

# "A multimodal micro-gesture classification model based on CLIP", MiGA-IJCAI 2024: GAIE-ViT of
# frames, PoseC3D of heat-maps, text features of the class names
_base_ = ['vit_base_p16.py', '../heatmap_backbone.py']

model = dict(
    type='VCLIP',
    backbone=dict(neck=dict(type='GAIENeck', token_keep_ratio=0.7), merge_layers=(3, 6, 9)),
    pose_backbone=_base_.heatmap_backbone,
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
            imgs=_base_.model.data_preprocessor,
            heatmap_imgs=dict(type='ActionDataPreprocessor'))))

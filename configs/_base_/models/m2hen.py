# "Multi-modal Micro-gesture Classification via Multi-scale Heterogeneous Ensemble Network",
# MiGA-IJCAI 2024: GAIE-ViT of frames, three AAGCN of joints, every 1st, 2nd and 4th skeleton
_base_ = ['vit_base_p16.py', '../skeleton_graph.py']

model = dict(
    type='M2HEN',
    scales=(1, 2, 4),
    backbone=dict(
        neck=dict(type='GAIENeck', token_keep_ratio=0.7),
        merge_layers=(3, 6, 9),
        return_feat_map=True),
    graph_backbone=dict(
        type='AAGCN', num_person=1, graph_cfg=dict(layout=_base_.graph, mode='spatial')),
    cls_head=dict(
        _delete_=True,
        type='RGBPoseHead',
        num_classes=32,
        in_channels=(768, 256),
        average_clips='prob'),
    data_preprocessor=dict(
        _delete_=True,
        type='MultiModalDataPreprocessor',
        preprocessors=dict(
            imgs=_base_.model.data_preprocessor,
            keypoint=dict(type='ActionDataPreprocessor'))))

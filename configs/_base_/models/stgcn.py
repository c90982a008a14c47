# ST-GCN, "Spatial Temporal Graph Convolutional Networks", arXiv 1801.07455, as in MMAction2
_base_ = '../skeleton_graph.py'

model = dict(
    type='RecognizerGCN',
    backbone=dict(
        type='STGCN',
        num_person=1,
        graph_cfg=dict(layout=_base_.graph, mode='stgcn_spatial')),
    cls_head=dict(type='GCNHead', num_classes=32, in_channels=256))

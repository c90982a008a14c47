# AAGCN, "Multi-Stream Adaptive Graph Convolutional Networks", arXiv 1912.06971, as in MMAction2
_base_ = '../skeleton_graph.py'

model = dict(
    type='RecognizerGCN',
    backbone=dict(
        type='AAGCN', num_person=1, graph_cfg=dict(layout=_base_.graph, mode='spatial')),
    cls_head=dict(type='GCNHead', num_classes=32, in_channels=256))

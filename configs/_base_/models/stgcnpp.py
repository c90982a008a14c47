# ST-GCN++, "PYSKL: Towards Good Practices for Skeleton Action Recognition", arXiv 2205.09443, as
# in MMAction2
_base_ = '../skeleton_graph.py'

model = dict(
    type='RecognizerGCN',
    backbone=dict(
        type='STGCN',
        num_person=1,
        gcn_adaptive='init',
        gcn_with_res=True,
        tcn_type='mstcn',
        graph_cfg=dict(layout=_base_.graph, mode='spatial')),
    cls_head=dict(type='GCNHead', num_classes=32, in_channels=256))

# ST-GCN++ on Micro-Action-52's OpenPose skeletons, joints.
_base_ = ['../stgcnpp_imigue_joint.py', '../_base_/datasets/ma52.py']

layout = 'ma52'
# its 28 joints as MMAction2's Graph takes them: (joint, its parent) each, to the neck
graph = dict(
    num_node=28,
    inward=[(0, 1), (2, 1), (3, 2), (4, 3), (5, 1), (6, 5), (7, 6), (8, 2), (9, 8), (10, 9),
            (11, 5), (12, 11), (13, 12), (14, 0), (15, 0), (16, 14), (17, 15), (18, 7), (19, 7),
            (20, 7), (21, 7), (22, 7), (23, 4), (24, 4), (25, 4), (26, 4), (27, 4)],
    center=1)
model = dict(backbone=dict(graph_cfg=dict(layout=graph)), cls_head=dict(num_classes=52))

train_pipeline, val_pipeline = _base_.train_pipeline, _base_.val_pipeline
test_pipeline = _base_.test_pipeline
train_pipeline[1].layout = train_pipeline[2].layout = layout
val_pipeline[1].layout = test_pipeline[1].layout = layout
train_dataloader = dict(dataset=dict(split='train', pipeline=train_pipeline, **_base_.ma52_pose))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline, **_base_.ma52_pose))
# the test part has no labels
test_dataloader = dict(dataset=dict(split='val', pipeline=test_pipeline, **_base_.ma52_pose))
val_evaluator = test_evaluator = dict(_delete_=True, type='MicroActionF1')

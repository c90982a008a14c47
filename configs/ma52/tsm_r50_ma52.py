# TSM-R50 on Micro-Action-52; data of tools/data/prepare_ma52.py.
_base_ = '../tsm_r50_imigue.py'

ma52 = dict(data_root='data/ma52', metainfo=dict(dataset='ma52'))

model = dict(cls_head=dict(num_classes=52))
train_dataloader = dict(dataset=dict(ann_file='train.txt', **ma52))
val_dataloader = dict(dataset=dict(ann_file='val.txt', **ma52))
test_dataloader = dict(dataset=dict(ann_file='val.txt', **ma52))  # the test part has no labels
val_evaluator = dict(_delete_=True, type='MicroActionF1')
test_evaluator = dict(_delete_=True, type='MicroActionF1')

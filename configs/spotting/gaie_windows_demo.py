# The demo's small GAIE as a classifier of windows, for the synthetic dataset of make demo-spotting.
_base_ = '../demo/gaie_demo.py'

data_root = 'data/demo_spotting'
metainfo = dict(classes='data/demo_spotting/spotting/classes.txt')

model = dict(cls_head=dict(num_classes=33))
train_dataloader = dict(dataset=dict(
    data_root=data_root, ann_file='spotting/train_windows.csv', metainfo=metainfo))
val_dataloader = dict(dataset=dict(
    data_root=data_root, ann_file='spotting/val_dense.csv', metainfo=metainfo))
test_dataloader = dict(batch_size=32, dataset=dict(
    data_root=data_root, ann_file='spotting/test_dense.csv', metainfo=metainfo))
val_evaluator = test_evaluator = dict(
    _delete_=True, type='AccMetric', metric_list=('top_k_accuracy', 'mean_class_accuracy'))

train_cfg = dict(max_epochs=4, val_interval=4)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, end=1, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, T_max=3, end=4, by_epoch=True,
         convert_to_iter_based=True)
]
default_hooks = dict(checkpoint=dict(interval=2, max_keep_ckpts=1))

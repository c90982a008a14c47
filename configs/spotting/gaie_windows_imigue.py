# GAIE as a classifier of windows of whole videos, with background as one more class: data of
# tools/data/spotting_windows.py. test_dataloader.dataset.ann_file and --dump give the scores for
# tools/spot_windows.py.
_base_ = '../gaie_vitb_imigue.py'

metainfo = dict(classes='data/imigue/spotting/classes.txt')

model = dict(cls_head=dict(num_classes=33))
train_dataloader = dict(dataset=dict(ann_file='spotting/train_windows.csv', metainfo=metainfo))
val_dataloader = dict(dataset=dict(ann_file='spotting/val_dense.csv', metainfo=metainfo))
test_dataloader = dict(dataset=dict(ann_file='spotting/test_dense.csv', metainfo=metainfo))
val_evaluator = dict(
    _delete_=True, type='AccMetric', metric_list=('top_k_accuracy', 'mean_class_accuracy'))
test_evaluator = []  # the test part has no labels: --dump alone

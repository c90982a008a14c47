# VideoSwin-B on Micro-Action-52.
_base_ = ['../videoswin_base_imigue.py', '../_base_/datasets/ma52.py']

model = dict(cls_head=dict(num_classes=52))
train_dataloader = _base_.ma52_train
val_dataloader = test_dataloader = _base_.ma52_val  # the test part has no labels
val_evaluator = test_evaluator = dict(_delete_=True, type='MicroActionF1')

# Classifier retraining of mamp_demo.py: load_from=CHECKPOINT.
_base_ = 'mamp_demo.py'

model = dict(cls_head=dict(label_smooth_eps=0.))
train_dataloader = dict(
    sampler=dict(_delete_=True, type='ClassBalancedSampler', clips_per_class=12))
custom_hooks = [dict(type='ClassifierRetraining')]
find_unused_parameters = True

train_cfg = dict(max_epochs=3, val_interval=3)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=3, end=3, by_epoch=True, convert_to_iter_based=True)
]
default_hooks = dict(checkpoint=dict(interval=3))

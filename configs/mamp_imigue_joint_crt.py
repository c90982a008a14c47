# Classifier retraining: a new head on balanced classes, everything else as it was finetuned. Give
# the finetuned network by load_from=CHECKPOINT. Ten epochs are the paper's, arXiv 1910.09217; the
# learning rate is our choice.
_base_ = 'mamp_imigue_joint.py'

model = dict(cls_head=dict(dropout=0., label_smooth_eps=0.))
# an epoch is as long as before: 32 times 427 of 13,670 clips
train_dataloader = dict(
    sampler=dict(_delete_=True, type='ClassBalancedSampler', clips_per_class=427))
custom_hooks = [dict(type='ClassifierRetraining')]
find_unused_parameters = True  # of several GPUs: the backbone has no gradients

train_cfg = dict(max_epochs=10, val_interval=1)
optim_wrapper = dict(optimizer=dict(lr=1e-3), paramwise_cfg=dict(_delete_=True))
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=10, end=10, by_epoch=True, convert_to_iter_based=True)
]

# GAIE with few labels, those of the first 6 of 24 people: tools/demo_pretraining.py trains it from
# scratch, and from weights that were pretrained on all of them.
_base_ = 'gaie_demo.py'

train_dataloader = dict(dataset=dict(indices=144))
train_cfg = dict(max_epochs=24, val_interval=24)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, end=4, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=4, T_max=20, end=24, by_epoch=True,
         convert_to_iter_based=True)
]
default_hooks = dict(checkpoint=dict(interval=24))

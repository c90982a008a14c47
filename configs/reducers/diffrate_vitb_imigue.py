# DiffRate: every block but the first learns how many tokens it prunes and merges, so that the
# whole costs as much as GAIE, 0.63 of the plain ViT. It starts there, keeping 0.915 in each block.
_base_ = '../gaie_vitb_imigue.py'

model = dict(
    backbone=dict(
        neck=dict(_delete_=True, type='DiffRateNeck', token_keep_ratio=0.915),
        merge_layers=tuple(range(1, 12))))

# 500 x 2e-5: the paper's learning rate of the counts
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'backbone.neck': dict(lr_mult=500., decay_mult=0.)}))
custom_hooks = [dict(type='DiffRateHook', target_ratio=0.63)]

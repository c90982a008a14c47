# GAIE's lr, 2e-5 for a batch of 4, in the RGB backbone; 25 times that where weights start from
# scratch, which is our choice
_base_ = 'adamw_30e.py'

optim_wrapper = dict(
    optimizer=dict(lr=5e-4),
    # the longest key that fits counts
    paramwise_cfg=dict(
        custom_keys={
            'backbone': dict(lr_mult=0.04),
            'pose_backbone': dict(lr_mult=1.),
            'graph_backbone': dict(lr_mult=1.),
            'log_scale': dict(decay_mult=0.)
        }))
param_scheduler = dict(eta_min=None, eta_min_ratio=0.1)

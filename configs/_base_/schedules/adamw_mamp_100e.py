# MAMP's finetuning: lr 3e-4 to 1e-5 for a batch of 48, scaled linearly to 64 clips on one GPU, with
# a layer-wise decay of 0.8
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100, val_interval=5)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

blocks = {f'backbone.blocks.{k}.': 0.8**(8 - k) for k in range(8)}
flat = ('norm', 'attn.q_bias', 'attn.v_bias', 'attn.proj.bias', 'mlp.layers.0.0.bias',
        'mlp.layers.1.bias')
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=3e-4 * 64 / 48, weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0.,
        bias_decay_mult=0.,
        # the longest key that fits counts, and no other rule: norms and biases are named as well
        custom_keys={
            'backbone': dict(lr_mult=0.8**9),  # embedding and positions
            'backbone.patch_embed.projection.bias': dict(lr_mult=0.8**9, decay_mult=0.),
            **{block: dict(lr_mult=rate) for block, rate in blocks.items()},
            **{block + name: dict(lr_mult=rate, decay_mult=0.)
               for block, rate in blocks.items() for name in flat},
            'backbone.norm': dict(lr_mult=1., decay_mult=0.)
        }))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=5, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=5, T_max=95, end=100, eta_min_ratio=1 / 30, by_epoch=True,
         convert_to_iter_based=True)
]

auto_scale_lr = dict(enable=False, base_batch_size=64)

# MAMP's finetuning: lr 3e-4 to 1e-5 for a batch of 48, scaled linearly to 64 clips on one GPU, with
# a layer-wise decay of 0.8
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100, val_interval=5)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

# embedding and positions, the blocks, the last norm
rates = {'backbone': 0.8**9, **{f'backbone.blocks.{k}.': 0.8**(8 - k) for k in range(8)},
         'backbone.norm': 1.}
# biases and norms among them, which have no weight decay
flat = {'backbone': ('.patch_embed.projection.bias', ), 'backbone.norm': ('', ),
        **{f'backbone.blocks.{k}.': (
            'norm', 'attn.q_bias', 'attn.v_bias', 'attn.proj.bias', 'mlp.layers.0.0.bias',
            'mlp.layers.1.bias') for k in range(8)}}
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=3e-4 * 64 / 48, weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0.,  # of the head: the longest key that fits counts alone
        bias_decay_mult=0.,
        custom_keys={
            **{key: dict(lr_mult=rate) for key, rate in rates.items()},
            **{f'{key}{name}': dict(lr_mult=rates[key], decay_mult=0.)
               for key, names in flat.items() for name in names}
        }))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=5, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=5, T_max=95, end=100, eta_min_ratio=1 / 30, by_epoch=True,
         convert_to_iter_based=True)
]

auto_scale_lr = dict(enable=False, base_batch_size=64)

# GAIE+: merges tokens that resemble more important ones instead of unimportant tokens, in the first
# three blocks, with token sizes in merge, attention and final mean: 1568 -> 1325 -> 1120 -> 947.
# It costs what GAIE does; docs/gaie_plus.md has how it was chosen.
_base_ = 'gaie_vitb_imigue.py'

model = dict(
    backbone=dict(
        neck=dict(
            token_keep_ratio=0.845, prop_attn=True, size_weighted=True, background_weight=0.5,
            selection='peaks'),
        merge_layers=(0, 1, 2)))

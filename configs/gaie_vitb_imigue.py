# GAIE: the 4th, 7th and 10th block keep 70 % of the tokens: 1568 -> 1098 -> 769 -> 539.
_base_ = [
    '_base_/models/vit_base_p16.py', '_base_/datasets/imigue.py', '_base_/schedules/adamw_30e.py',
    '_base_/default_runtime.py'
]

model = dict(
    backbone=dict(neck=dict(type='GAIENeck', token_keep_ratio=0.7), merge_layers=(3, 6, 9)))

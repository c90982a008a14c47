# Where: the last three blocks.
_base_ = '../demo/gaie_demo.py'

model = dict(backbone=dict(merge_layers=(3, 4, 5)))

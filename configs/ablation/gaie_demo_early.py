# Where: the first three blocks.
_base_ = '../demo/gaie_demo.py'

model = dict(backbone=dict(merge_layers=(0, 1, 2)))

# What: the tokens that GAIE merges are dropped.
_base_ = '../demo/gaie_demo.py'

model = dict(backbone=dict(neck=dict(type='PruneNeck')))

# How much: 50 % of the tokens stay in each of the three blocks.
_base_ = '../demo/gaie_demo.py'

model = dict(backbone=dict(neck=dict(token_keep_ratio=0.5)))

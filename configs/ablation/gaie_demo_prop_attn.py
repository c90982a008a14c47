# Proportional attention, and a final mean weighted by size.
_base_ = '../demo/gaie_demo.py'

model = dict(backbone=dict(neck=dict(prop_attn=True)))

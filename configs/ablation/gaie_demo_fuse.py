# What: the tokens that GAIE merges are fused into one, which counts as one of the kept (EViT).
_base_ = '../demo/gaie_demo.py'

model = dict(backbone=dict(neck=dict(type='EViTNeck', count_fused=True)))

# EViT: keep what GAIE keeps, fuse the rest into one token, which counts as one of the kept.
_base_ = '../gaie_vitb_imigue.py'

model = dict(
    backbone=dict(
        neck=dict(_delete_=True, type='EViTNeck', token_keep_ratio=0.7, count_fused=True)))

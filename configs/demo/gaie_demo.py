# The small ViT of vivit_demo.py with GAIE inside three of its six blocks.
_base_ = 'vivit_demo.py'

model = dict(
    backbone=dict(neck=dict(type='GAIENeck', token_keep_ratio=0.7), merge_layers=(2, 3, 4)))

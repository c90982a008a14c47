# Where: one block, which goes at once to the 50 of 144 tokens that three blocks leave.
_base_ = '../demo/gaie_demo.py'

model = dict(backbone=dict(neck=dict(token_keep_ratio=0.347), merge_layers=(2, )))

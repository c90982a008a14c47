# STA: drop tokens that repeat an earlier frame and matter little, in GAIE's blocks. Its authors
# reduce in merge_layers=(0, 4, 8).
_base_ = '../gaie_vitb_imigue.py'

model = dict(backbone=dict(neck=dict(_delete_=True, type='STANeck', token_keep_ratio=0.7)))

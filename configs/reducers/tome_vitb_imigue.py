# ToMe with as many tokens as GAIE keeps. Its authors' way at the same cost is
# neck=dict(_delete_=True, type='ToMeNeck', r=86), merge_layers=range(12)
_base_ = '../gaie_vitb_imigue.py'

model = dict(backbone=dict(neck=dict(_delete_=True, type='ToMeNeck', token_keep_ratio=0.7)))

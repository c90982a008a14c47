# Control: as many tokens as GAIE keeps, spread evenly over space and time, the rest dropped.
_base_ = '../gaie_vitb_imigue.py'

model = dict(backbone=dict(neck=dict(_delete_=True, type='UniformDropNeck', token_keep_ratio=0.7)))

# Control: as many tokens as GAIE keeps, drawn at random, the rest dropped.
_base_ = '../gaie_vitb_imigue.py'

model = dict(backbone=dict(neck=dict(_delete_=True, type='RandomDropNeck', token_keep_ratio=0.7)))

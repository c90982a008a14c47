# ToMe with as many tokens as GAIE keeps. The authors' way is a small r in every block:
# neck=dict(type='ToMeNeck', r=...), merge_layers=range(12)
_base_ = '../gaie_vitb_imigue.py'

model = dict(backbone=dict(neck=dict(_delete_=True, type='ToMeNeck', token_keep_ratio=0.7)))

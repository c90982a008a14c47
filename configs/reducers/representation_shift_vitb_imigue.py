# Representation Shift: keep the tokens that the last MLP changed most, drop the rest.
_base_ = '../gaie_vitb_imigue.py'

model = dict(
    backbone=dict(neck=dict(_delete_=True, type='RepresentationShiftNeck', token_keep_ratio=0.7)))

# vid-TLDR: most of the tokens merge in the first three blocks, 1568 -> 1198 -> 1073 -> 1013,
# which costs as much as GAIE (113.8 and 113.6 GMACs a view, by tools/analysis/get_flops.py).
_base_ = '../gaie_vitb_imigue.py'

model = dict(
    backbone=dict(
        neck=dict(_delete_=True, type='VidTLDRNeck', r=(370, 125, 60)), merge_layers=(0, 1, 2)))

# vid-TLDR: tokens merge in the first three blocks, 1568 -> 1343 -> 1150 -> 985, which costs as
# much as GAIE. Its authors lower the number from block to block, as r=(370, 125, 60) does.
_base_ = '../gaie_vitb_imigue.py'

model = dict(
    backbone=dict(
        neck=dict(_delete_=True, type='VidTLDRNeck', token_keep_ratio=0.856),
        merge_layers=(0, 1, 2)))

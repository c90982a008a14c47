# The same study on real footage: run it by tools/analysis/study.py --data egogestar --root FOLDER.
# Few clips, so more epochs; directions are classes, so no clip is mirrored.
_base_ = 'embedded.py'

train_pipeline = [
    dict(type='RandomResizedCrop', area_range=(0.6, 1.0), aspect_ratio_range=(0.8, 1.25)),
    dict(type='Resize', scale=(80, 80), keep_ratio=False),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=())
]
study = dict(
    start=dict(
        train_cfg=dict(max_epochs=40),
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.02, end=4, by_epoch=True,
                 convert_to_iter_based=True),
            dict(type='CosineAnnealingLR', begin=4, T_max=36, end=40, by_epoch=True,
                 convert_to_iter_based=True)
        ]))
train_cfg = dict(max_epochs=12)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, end=20, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=12, end=12, by_epoch=True, convert_to_iter_based=True)
]

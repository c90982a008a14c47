# The same on raw frames: does pretraining make SubtractClipMean unnecessary?
_base_ = 'pretraining.py'

normalization = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
model = dict(data_preprocessor=normalization)
stored_pipeline = _base_.stored_pipeline[:-1]
budgets = _base_.study.budgets
study = dict(
    start=dict(model=dict(data_preprocessor=normalization)),
    budgets={
        '_delete_': True,
        '100 %': {name: budgets['100 %'][name] for name in budgets['10 %']},
        '10 %': budgets['10 %']
    })

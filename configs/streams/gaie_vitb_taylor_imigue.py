# GAIE on Taylor frames.
_base_ = '../gaie_vitb_imigue.py'

train_pipeline = _base_.train_pipeline
test_pipeline = _base_.test_pipeline
# clips below 6 frames are padded: the leaderboard wants an answer for each
train_pipeline.insert(1, dict(type='TaylorFrames', pad=True))
test_pipeline.insert(1, dict(type='TaylorFrames', pad=True))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

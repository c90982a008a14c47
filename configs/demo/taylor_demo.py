# The network of gaie_demo.py on Taylor frames.
_base_ = 'gaie_demo.py'

# statistics of the synthetic dataset's Taylor frames
model = dict(data_preprocessor=dict(mean=[10., 10., 10.], std=[29., 29., 29.]))

taylor = dict(type='TaylorFrames', short_side=104)
train_pipeline = [step for step in _base_.train_pipeline if step['type'] != 'SubtractClipMean']
test_pipeline = [step for step in _base_.test_pipeline if step['type'] != 'SubtractClipMean']
train_pipeline.insert(1, taylor)
test_pipeline.insert(1, taylor)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

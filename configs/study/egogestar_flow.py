# The plain ViT of the study on real footage, on optical flow, whose levels are neither brightness
# nor without a mean of their own: run it by tools/analysis/stream_study.py.
_base_ = 'egogestar.py'

model = dict(data_preprocessor=dict(mean=[128., 128., 128.], std=[16., 16., 16.]))
train_pipeline = [step for step in _base_.train_pipeline
                  if step['type'] not in ('ColorJitter', 'SubtractClipMean')]
test_pipeline = [step for step in _base_.test_pipeline if step['type'] != 'SubtractClipMean']

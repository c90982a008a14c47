# The study on real footage, on its optical flow, whose levels are neither brightness nor without a
# mean of their own: run it by tools/analysis/study.py --data egogestar_flow --root FOLDER.
_base_ = 'egogestar.py'

model = dict(data_preprocessor=dict(mean=[128., 128., 128.], std=[16., 16., 16.]))
train_pipeline = [step for step in _base_.train_pipeline
                  if step['type'] not in ('ColorJitter', 'SubtractClipMean')]
test_pipeline = [step for step in _base_.test_pipeline if step['type'] != 'SubtractClipMean']
study = dict(page='study', flow=True, seeds=3)

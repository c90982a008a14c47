# The network of gaie_demo.py on the optical flow of
# tools/data/make_flow.py data/demo/trainval.csv data/demo/test.csv --videos data/demo/videos
# --out data/demo/flow
_base_ = 'gaie_demo.py'

model = dict(data_preprocessor=dict(std=[16., 16., 16.]))

# mirrored flow is another flow
unused = ('SubtractClipMean', 'Flip')
train_pipeline = [step for step in _base_.train_pipeline if step['type'] not in unused]
test_pipeline = [step for step in _base_.test_pipeline if step['type'] not in unused]
flow = dict(video='flow')
train_dataloader = dict(
    dataset=dict(ann_file='train.txt', data_prefix=flow, pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(ann_file='val.txt', data_prefix=flow, pipeline=test_pipeline))
test_dataloader = dict(
    dataset=dict(ann_file='test.txt', data_prefix=flow, pipeline=test_pipeline,
                 metainfo=dict(flow=True)))

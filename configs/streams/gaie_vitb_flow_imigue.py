# GAIE on the optical flow of tools/data/make_flow.py.
_base_ = '../gaie_vitb_imigue.py'

# grey 128 stands for no motion, a pixel for 6.35 levels; the standard deviation is our choice
model = dict(data_preprocessor=dict(mean=[128., 128., 128.], std=[16., 16., 16.]))

flow = dict(video='flow')
train_dataloader = dict(dataset=dict(ann_file='trainval.txt', data_prefix=flow))
val_dataloader = dict(dataset=dict(ann_file='val.txt', data_prefix=flow))
test_dataloader = dict(
    dataset=dict(ann_file='test.txt', data_prefix=flow, metainfo=dict(flow=True)))

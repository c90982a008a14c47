# TSM, ResNet-50, 16 frames.
_base_ = 'tsm_r50_imigue.py'

model = dict(backbone=dict(num_segments=16), cls_head=dict(num_segments=16))
load_from = ('https://download.openmmlab.com/mmaction/v1.0/recognition/tsm/'
             'tsm_imagenet-pretrained-r50_8xb16-1x1x16-50e_kinetics400-rgb/'
             'tsm_imagenet-pretrained-r50_8xb16-1x1x16-50e_kinetics400-rgb_20220831-042b1748.pth')

train_pipeline = _base_.train_pipeline
test_pipeline = _base_.test_pipeline
train_pipeline[1].clip_len = test_pipeline[1].clip_len = 16
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

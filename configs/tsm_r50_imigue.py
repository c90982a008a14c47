# TSM, ResNet-50, 8 frames: model, recipe and weights are MMAction2's for Kinetics-400.
_base_ = [
    'mmaction::_base_/models/tsm_r50.py', '_base_/datasets/imigue.py',
    '_base_/schedules/sgd_tsm_50e.py', '_base_/default_runtime.py'
]

model = dict(
    # the ImageNet weights are in load_from already
    backbone=dict(num_segments=8, pretrained=None, pretrained2d=False),
    cls_head=dict(num_segments=8, num_classes=32))
# a local path will do as well; the head's 400 classes are left out of it, which is logged
load_from = ('https://download.openmmlab.com/mmaction/v1.0/recognition/tsm/'
             'tsm_imagenet-pretrained-r50_8xb16-1x1x8-50e_kinetics400-rgb/'
             'tsm_imagenet-pretrained-r50_8xb16-1x1x8-50e_kinetics400-rgb_20220831-64d69186.pth')

# the shared pipelines with 8 frames, each an image for the 2D network
train_pipeline = _base_.train_pipeline
test_pipeline = _base_.test_pipeline
train_pipeline[1].clip_len = test_pipeline[1].clip_len = 8
train_pipeline[-2].input_format = test_pipeline[-2].input_format = 'NCHW'
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

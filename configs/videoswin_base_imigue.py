# VideoSwin-B: model, recipe and weights are MMAction2's for Kinetics-400, with 16 frames, not 32.
_base_ = [
    'mmaction::_base_/models/swin_tiny.py', '_base_/datasets/imigue.py',
    '_base_/schedules/adamw_swin_30e.py', '_base_/default_runtime.py'
]

model = dict(
    # the ImageNet weights are in load_from already
    backbone=dict(arch='base', drop_path_rate=0.3, pretrained2d=False),
    cls_head=dict(in_channels=1024, num_classes=32))
# a local path will do as well; the head's 400 classes are left out of it, which is logged
load_from = (
    'https://download.openmmlab.com/mmaction/v1.0/recognition/swin/'
    'swin-base-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb/'
    'swin-base-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb_20220930-182ec6cc.pth')

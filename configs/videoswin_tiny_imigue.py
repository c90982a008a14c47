# VideoSwin-T: as VideoSwin-B, with MMAction2's weaker regularisation of the smaller model.
_base_ = 'videoswin_base_imigue.py'

model = dict(
    backbone=dict(arch='tiny', drop_path_rate=0.1), cls_head=dict(in_channels=768))
optim_wrapper = dict(optimizer=dict(weight_decay=0.02))
load_from = (
    'https://download.openmmlab.com/mmaction/v1.0/recognition/swin/'
    'swin-tiny-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb/'
    'swin-tiny-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb_20220930-241016b2.pth')

# Prototype-refined RGB + skeleton network; ten views in testing, as MMAction2's RGBPoseConv3D
_base_ = [
    '../_base_/models/protogesture.py', '../_base_/datasets/imigue_rgbpose.py',
    '../_base_/schedules/sgd_rgbpose_20e.py', '../_base_/default_runtime.py'
]

test_pipeline = _base_.test_pipeline
test_pipeline[2].num_clips = 10
train_dataloader = dict(batch_size=6)
test_dataloader = dict(batch_size=1, dataset=dict(pipeline=test_pipeline))

# MMAction2's initial weights of RGBPoseConv3D; layers that depend on the number of joints or
# classes are skipped. None trains from scratch
load_from = ('https://download.openmmlab.com/mmaction/v1.0/skeleton/posec3d/rgbpose_conv3d/'
             'rgbpose_conv3d_init_20230228-09b7684b.pth')

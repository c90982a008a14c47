# Prototype-refined RGB + skeleton network; ten views in the test, as MMAction2's RGBPoseConv3D
_base_ = [
    '../_base_/models/protogesture.py', '../_base_/datasets/imigue_rgbpose.py',
    '../_base_/schedules/sgd_rgbpose_20e.py', '../_base_/default_runtime.py'
]

test_pipeline = _base_.test_pipeline
test_pipeline[2].num_clips = 10
train_dataloader = dict(batch_size=6)
test_dataloader = dict(batch_size=1, dataset=dict(pipeline=test_pipeline))

# MMAction2's start of RGBPoseConv3D; what depends on the number of joints and classes is left out.
# None is without
load_from = ('https://download.openmmlab.com/mmaction/v1.0/skeleton/posec3d/rgbpose_conv3d/'
             'rgbpose_conv3d_init_20230228-09b7684b.pth')

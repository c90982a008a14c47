# MAMP's transformer over joints, "Masked Motion Predictors are Strong 3D Action Representation
# Learners", arXiv 2308.09975, in MMAction2's recognizer
model = dict(
    type='RecognizerGCN',
    backbone=dict(type='SkeletonTransformer', num_joints=22, num_frames=120),
    cls_head=dict(type='GCNHead', num_classes=32, in_channels=256))

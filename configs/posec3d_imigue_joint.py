# PoseC3D, heat-maps of the 22 joints.
_base_ = [
    '_base_/models/posec3d.py', '_base_/datasets/imigue_heatmap.py',
    '_base_/schedules/sgd_posec3d_240e.py', '_base_/default_runtime.py'
]

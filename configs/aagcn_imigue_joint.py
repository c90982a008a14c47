# AAGCN, joints.
_base_ = [
    '_base_/models/aagcn.py', '_base_/datasets/imigue_pose.py',
    '_base_/schedules/sgd_gcn_80e.py', '_base_/default_runtime.py'
]

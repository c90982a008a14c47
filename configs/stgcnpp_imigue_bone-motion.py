# ST-GCN++, motion of the bones.
_base_ = [
    '_base_/models/stgcnpp.py', '_base_/datasets/imigue_pose_bone_motion.py',
    '_base_/schedules/sgd_gcn_80e.py', '_base_/default_runtime.py'
]

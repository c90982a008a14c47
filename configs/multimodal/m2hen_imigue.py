# Multi-scale heterogeneous ensemble of RGB and skeletons; 16 frames and 96 skeletons. An epoch is
# a data group: the next 400 clips of each frequent class, and all of each rare one. 400 is our
# choice.
_base_ = [
    '../_base_/models/m2hen.py', '../_base_/datasets/imigue_rgbgraph.py',
    '../_base_/schedules/adamw_multimodal_30e.py', '../_base_/default_runtime.py'
]

train_dataloader = dict(sampler=dict(_delete_=True, type='DataGroupSampler', max_clips=400))

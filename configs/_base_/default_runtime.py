_base_ = 'mmaction::_base_/default_runtime.py'

custom_imports = dict(imports=['gaie_mmaction'], allow_failed_imports=False)

default_hooks = dict(
    checkpoint=dict(type='SafeCheckpointHook', interval=1, max_keep_ckpts=3, save_best=None),
    checkpoint_fit=dict(type='CheckpointFitHook'),
    num_classes=dict(type='NumClassCheckHook'),
    token_reducer=dict(type='TokenReducerCheckHook'),
    submission=dict(type='SubmissionHook'),
    invalid_loss=dict(type='CheckInvalidLossHook'),
    preemption=dict(type='PreemptionHook'))

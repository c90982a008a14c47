"""Hooks of training and test."""
from .check_invalid_loss import CheckInvalidLossHook
from .checkpoint import SafeCheckpointHook
from .checks import CheckpointFitHook, NumClassCheckHook, SubmissionHook, TokenReducerCheckHook
from .compile_backbone import CompileBackboneHook
from .diffrate_hook import DiffRateHook
from .keep_ratio_warmup import TokenKeepRatioWarmupHook
from .preemption import PreemptionHook
from .token_map_hook import TokenMapHook

__all__ = [
    'CheckInvalidLossHook', 'CheckpointFitHook', 'CompileBackboneHook', 'DiffRateHook',
    'NumClassCheckHook', 'PreemptionHook', 'SafeCheckpointHook', 'SubmissionHook',
    'TokenKeepRatioWarmupHook', 'TokenMapHook', 'TokenReducerCheckHook'
]

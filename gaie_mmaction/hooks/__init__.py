"""Hooks of training and test."""
from .check_invalid_loss import CheckInvalidLossHook
from .checkpoint import SafeCheckpointHook
from .checks import CheckpointFitHook, NumClassCheckHook, SubmissionHook, TokenReducerCheckHook
from .compile_backbone import CompileBackboneHook
from .epoch_seed import EpochSeedHook
from .preemption import PreemptionHook
from .reducer_schedules import DiffRateHook, TokenKeepRatioWarmupHook
from .token_map_hook import TokenMapHook

__all__ = [
    'CheckInvalidLossHook', 'CheckpointFitHook', 'CompileBackboneHook', 'DiffRateHook',
    'EpochSeedHook', 'NumClassCheckHook', 'PreemptionHook', 'SafeCheckpointHook', 'SubmissionHook',
    'TokenKeepRatioWarmupHook', 'TokenMapHook', 'TokenReducerCheckHook'
]

"""Hooks of training and test."""
from .check_invalid_loss import CheckInvalidLossHook
from .checkpoint import SafeCheckpointHook
from .checkpoint_fit import CheckpointFitHook
from .compile_backbone import CompileBackboneHook
from .diffrate_hook import DiffRateHook
from .keep_ratio_warmup import TokenKeepRatioWarmupHook
from .num_class_check import NumClassCheckHook
from .preemption import PreemptionHook
from .token_map_hook import TokenMapHook
from .token_reducer_check import TokenReducerCheckHook

__all__ = [
    'CheckInvalidLossHook', 'CheckpointFitHook', 'CompileBackboneHook', 'DiffRateHook',
    'NumClassCheckHook', 'PreemptionHook', 'SafeCheckpointHook', 'TokenKeepRatioWarmupHook',
    'TokenMapHook', 'TokenReducerCheckHook'
]

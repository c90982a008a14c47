"""Hooks of training and test."""
from .check_invalid_loss import CheckInvalidLossHook
from .checkpoint import SafeCheckpointHook
from .checks import CheckpointFitHook, NumClassCheckHook, SubmissionHook, TokenReducerCheckHook
from .classifier_retraining import ClassifierRetraining
from .compile_backbone import CompileBackboneHook
from .preemption import PreemptionHook
from .reducer_schedules import DiffRateHook, TokenKeepRatioWarmupHook
from .step_seed import StepSeedHook
from .token_map_hook import TokenMapHook
from .training_page import TrainingPageHook

__all__ = [
    'CheckInvalidLossHook', 'CheckpointFitHook', 'ClassifierRetraining', 'CompileBackboneHook',
    'DiffRateHook', 'NumClassCheckHook', 'PreemptionHook', 'SafeCheckpointHook', 'StepSeedHook',
    'SubmissionHook', 'TokenKeepRatioWarmupHook', 'TokenMapHook', 'TokenReducerCheckHook',
    'TrainingPageHook'
]

"""Training hooks."""
from .check_invalid_loss import CheckInvalidLossHook
from .checkpoint import SafeCheckpointHook
from .diffrate_hook import DiffRateHook
from .keep_ratio_warmup import TokenKeepRatioWarmupHook
from .preemption import PreemptionHook
from .token_map_hook import TokenMapHook

__all__ = [
    'CheckInvalidLossHook', 'DiffRateHook', 'PreemptionHook', 'SafeCheckpointHook',
    'TokenKeepRatioWarmupHook', 'TokenMapHook'
]

"""Training hooks."""
from .diffrate_hook import DiffRateHook
from .keep_ratio_warmup import TokenKeepRatioWarmupHook
from .token_map_hook import TokenMapHook

__all__ = ['DiffRateHook', 'TokenKeepRatioWarmupHook', 'TokenMapHook']

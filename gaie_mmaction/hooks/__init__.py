"""Training hooks."""
from .diffrate_hook import DiffRateHook
from .keep_ratio_warmup import TokenKeepRatioWarmupHook

__all__ = ['DiffRateHook', 'TokenKeepRatioWarmupHook']

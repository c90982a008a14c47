"""Training hooks."""
from .keep_ratio_warmup import TokenKeepRatioWarmupHook

__all__ = ['TokenKeepRatioWarmupHook']

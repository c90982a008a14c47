# Warm-up: all tokens in the first epochs, then ever fewer, 70 % from the 10th of 12 epochs on.
_base_ = '../demo/gaie_demo.py'

custom_hooks = [dict(type='TokenKeepRatioWarmupHook', begin=3, end=9)]

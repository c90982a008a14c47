# Finetuning on the weights of configs/pretraining/videomae_vitb_imigue.py with the extras, and with
# all tokens in the first 10 epochs. Its accuracy on iMiGUE was not measured.
_base_ = 'gaie_vitb_imigue_extras.py'

model = dict(backbone=dict(pretrained='work_dirs/videomae_vitb_imigue/epoch_25.pth'))
custom_hooks = [
    *_base_.custom_hooks,
    # the keep ratio falls from 1.0 to 0.7 while the features settle
    dict(type='TokenKeepRatioWarmupHook', begin=10, end=25)
]

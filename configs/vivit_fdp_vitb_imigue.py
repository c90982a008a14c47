# ViViT, model 4: half of the heads attend over space, the others over time.
# The recipe is the joint variant's (vivit_vitb_imigue.py); the weights are an image ViT's.
_base_ = [
    '_base_/models/vivit_base_p16.py', '_base_/datasets/imigue.py', '_base_/schedules/adamw_30e.py',
    '_base_/default_runtime.py'
]

model = dict(backbone=dict(variant='factorised_dot_product'))

# The paper's ViViT row: the plain ViT-B, joint space-time attention, all tokens to the end.
_base_ = [
    '_base_/models/vit_base_p16.py', '_base_/datasets/imigue.py', '_base_/schedules/adamw_30e.py',
    '_base_/default_runtime.py'
]

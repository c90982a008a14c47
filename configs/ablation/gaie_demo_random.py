# What: as many tokens as GAIE keeps, drawn at random, the rest dropped.
_base_ = '../demo/gaie_demo.py'

model = dict(backbone=dict(neck=dict(type='RandomDropNeck')))

# Metric: the attention's keys instead of the tokens' features.
_base_ = '../demo/gaie_demo.py'

model = dict(backbone=dict(neck=dict(metric='key')))

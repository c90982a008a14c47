# What the starting weights of the study on real footage begin with: the embedded study's training
# of starting weights, with more frames in as many tokens.
_base_ = 'embedded.py'

model = dict(backbone=dict(num_frames=16, tubelet_size=4))

stored_pipeline = [
    dict(type='ClipInit'),
    dict(type='UniformSample', clip_len=16, test_mode=True),
    dict(type='ClipDecode'),
    dict(type='Resize', scale=(-1, 86)),
    dict(type='CenterCrop', crop_size=(94, 86)),
    dict(type='SubtractClipMean')
]

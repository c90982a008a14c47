# The study of token reducers on the hard demo release: run it by tools/analysis/study.py.
_base_ = '../demo/vivit_demo.py'

model = dict(
    # 4 x 5 x 5 tokens; merge_layers: the paper's 3, 6 and 9 of 12 blocks, halved
    backbone=dict(img_size=80, num_frames=8, tubelet_size=2, embed_dims=64, num_heads=2,
                  merge_layers=(1, 3, 4)),
    cls_head=dict(in_channels=64))

# done once; the frames are kept. The mean over time may be taken off before cropping
stored_pipeline = [
    dict(type='ClipInit'),
    dict(type='UniformSample', clip_len=8, test_mode=True),
    dict(type='ClipDecode'),
    dict(type='Resize', scale=(-1, 86)),
    dict(type='CenterCrop', crop_size=(94, 86)),
    dict(type='SubtractClipMean')
]
train_pipeline = [
    dict(type='RandomCrop', size=80),
    dict(type='Flip', flip_ratio=0.5),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=())
]
test_pipeline = [
    dict(type='CenterCrop', crop_size=80),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=())
]
train_dataloader = dict(batch_size=8, num_workers=0, persistent_workers=False)
test_dataloader = dict(batch_size=32, num_workers=0, persistent_workers=False)


# of finetuning
train_cfg = dict(max_epochs=2)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
auto_scale_lr = dict(base_batch_size=8)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, end=20, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=2, end=2, by_epoch=True, convert_to_iter_based=True)
]


def neck(kind, merge_layers=(1, 3, 4), **settings):
    """What a reducer changes in the config."""
    backbone = dict(neck=dict(type=f'{kind}Neck', **settings), merge_layers=merge_layers)
    return dict(model=dict(backbone=backbone))


def gaie_plus(token_keep_ratio):
    """As configs/gaie_plus_vitb_imigue.py has it; frozen before it met these people."""
    return neck('GAIE', (0, 1, 2), token_keep_ratio=token_keep_ratio, prop_attn=True,
                size_weighted=True, selection='peaks', background_weight=.5)


def diffrate(token_keep_ratio, target_ratio):
    """DiffRate learns its counts in the first epoch, at the paper's learning rate, 0.01."""
    return dict(
        neck('DiffRate', (1, 2, 3, 4, 5), token_keep_ratio=token_keep_ratio),
        optim_wrapper=dict(paramwise_cfg=dict(custom_keys={
            'backbone.neck': dict(lr_mult=20., decay_mult=0.)})),
        custom_hooks=[dict(type='DiffRateHook', target_ratio=target_ratio, search_epochs=1)])


# budget -> arm -> what is merged into this config; numbers such that all arms of a budget cost
# what GAIE does with that keep ratio, within 3 %
study = dict(
    page='study',  # of docs/, for the tables
    seeds=10,
    # arms, besides GAIE, that all others are compared with
    beside=('GAIE+', ),
    dataset=dict(name='study', seed=0, difficulty='hard',
                 subjects=dict(train=28, validate=2, test=64)),
    # tokens of the gesture are counted with these seeds, in every fourth clip; view: left, top,
    # width and height of what the network sees of a frame
    regions=dict(seeds=5, every=4, frame=(168, 224), view=(17 / 115, 3 / 86, 80 / 115, 80 / 86)),
    # training of the starting weights
    start=dict(
        train_cfg=dict(max_epochs=6),
        optim_wrapper=dict(optimizer=dict(lr=1.5e-3)),
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.02, end=1, by_epoch=True,
                 convert_to_iter_based=True),
            dict(type='CosineAnnealingLR', begin=1, T_max=5, end=6, by_epoch=True,
                 convert_to_iter_based=True)
        ]),
    budgets={
        'full': {'plain ViT': {}},
        '0.7': {
            'GAIE': neck('GAIE', token_keep_ratio=.7),
            'GAIE+': gaie_plus(.795),
            'ToMe': neck('ToMe', token_keep_ratio=.7),
            'EViT': neck('EViT', token_keep_ratio=.7, count_fused=True),
            'DiffRate': diffrate(.76, .685),
            'vid-TLDR': neck('VidTLDR', (0, 1, 2), token_keep_ratio=.82),
            'RepresentationShift': neck('RepresentationShift', token_keep_ratio=.7),
            'STA': neck('STA', token_keep_ratio=.68, num_groups=(4, 2, 1)),
            'RandomDrop': neck('RandomDrop', token_keep_ratio=.7),
            'UniformDrop': neck('UniformDrop', token_keep_ratio=.7),
        },
        '0.4': {
            'GAIE': neck('GAIE', token_keep_ratio=.4),
            'GAIE+': gaie_plus(.635),
            'ToMe': neck('ToMe', (1, 2, 3, 4), token_keep_ratio=.52),
            'EViT': neck('EViT', token_keep_ratio=.4, count_fused=True),
            'vid-TLDR': neck('VidTLDR', (0, 1, 2), token_keep_ratio=.66),
            'RepresentationShift': neck('RepresentationShift', token_keep_ratio=.4),
            'STA': neck('STA', (1, 2, 3, 4), token_keep_ratio=.52, num_groups=(4, 4, 2, 1)),
            'RandomDrop': neck('RandomDrop', token_keep_ratio=.4),
            'UniformDrop': neck('UniformDrop', token_keep_ratio=.4),
        }
    })

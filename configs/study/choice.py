# Which variant of GAIE becomes GAIE+: candidates beside the rivals that it has to meet, at the cost
# of GAIE with each keep ratio, on people that the embedded study does not have. Run it by
# tools/analysis/study.py --data choice.
_base_ = 'embedded.py'


def arm(kind, merge_layers=(1, 3, 4), **settings):
    """What an arm changes in the config."""
    neck = dict(type=f'{kind}Neck', **settings)
    return dict(model=dict(backbone=dict(neck=neck, merge_layers=merge_layers)))


def candidates(ratio, early_ratio, peak_ratios):
    """Variants with token sizes wherever tokens are averaged or attended to."""
    sizes = dict(token_keep_ratio=ratio, prop_attn=True, size_weighted=True)
    early = dict(sizes, token_keep_ratio=early_ratio, merge_layers=(0, 1, 2))
    return {
        'GAIE': arm('GAIE', token_keep_ratio=ratio),
        'sizes': arm('GAIE', **sizes),
        'sizes, key': arm('GAIE', **sizes, metric='key'),
        'sizes, sharpness': arm('GAIE', **sizes, importance='sharpness'),
        'sizes, early': arm('GAIE', **early),
        'sizes, early, key': arm('GAIE', **early, metric='key'),
        'sizes, early, sharpness': arm('GAIE', **early, importance='sharpness'),
        'sizes, peaks': arm('GAIE', **dict(sizes, token_keep_ratio=peak_ratios[0]),
                            selection='peaks'),
        'sizes, peaks, early': arm('GAIE', **dict(early, token_keep_ratio=peak_ratios[1]),
                                   selection='peaks'),
        'sizes, peaks, early, half': arm(
            'GAIE', **dict(early, token_keep_ratio=peak_ratios[1]), selection='peaks',
            background_weight=.5),
        'sizes, peaks, early, half, sharpness': arm(
            'GAIE', **dict(early, token_keep_ratio=peak_ratios[1]), selection='peaks',
            background_weight=.5, importance='sharpness'),
        'vid-TLDR': arm('VidTLDR', (0, 1, 2), token_keep_ratio=early_ratio),
        'ToMe': (arm('ToMe', token_keep_ratio=ratio) if ratio > .5 else
                 arm('ToMe', (1, 2, 3, 4), token_keep_ratio=.52)),
    }


study = dict(
    page='gaie_plus', seeds=4, beside=(), regions=None,
    dataset=dict(name='study_ablation', seed=1),
    budgets={
        '_delete_': True,
        'full': {'plain ViT': {}},
        '0.7': candidates(.7, .82, (.67, .795)),
        '0.4': candidates(.4, .66, (.36, .635))
    })

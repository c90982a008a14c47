# What each choice in GAIE is worth: variants that differ from it in one thing, from the starting
# weights of the embedded study. Run it by tools/analysis/study.py --data ablation.
_base_ = 'embedded.py'

gaie = dict(type='GAIENeck', token_keep_ratio=.7)


def variant(neck=gaie, merge_layers=(1, 3, 4)):
    """What an arm changes in the config."""
    return dict(model=dict(backbone=dict(neck=neck, merge_layers=merge_layers)))


# people that the study of the reducers does not have, so that what is chosen here is tested there
study = dict(
    page='gaie_plus', seeds=4, heading='GAIE', beside=(), regions=None,
    dataset=dict(name='study_ablation', seed=1),
    budgets=dict(
        _delete_=True,
        full={'plain ViT': {}},
        variants={
            'GAIE': variant(),
            # how much: the share of the tokens that each of the three blocks keeps
            '30 %': variant(dict(gaie, token_keep_ratio=.3)),
            '50 %': variant(dict(gaie, token_keep_ratio=.5)),
            '90 %': variant(dict(gaie, token_keep_ratio=.9)),
            # where: the first three blocks, the last three, or one that leaves as many tokens
            'early': variant(merge_layers=(0, 1, 2)),
            'late': variant(merge_layers=(3, 4, 5)),
            'once': variant(dict(gaie, token_keep_ratio=.35), (3, )),
            # what: the merged tokens are dropped, drawn at random, or fused into one (EViT)
            'prune': variant(dict(gaie, type='PruneNeck')),
            'random': variant(dict(gaie, type='RandomDropNeck')),
            'fuse': variant(dict(gaie, type='EViTNeck', count_fused=True)),
            # metric: the keys of the attention instead of the tokens
            'key': variant(dict(gaie, metric='key')),
            # sizes: in the attention and the final mean, or in the merge
            'prop_attn': variant(dict(gaie, prop_attn=True)),
            'size-weighted': variant(dict(gaie, size_weighted=True)),
            # importance: from a quarter of the queries, or another one
            '25 queries': variant(dict(gaie, importance_queries=25)),
            'sharpness': variant(dict(gaie, importance='sharpness')),
            'shift': variant(dict(gaie, importance='shift')),
            # all tokens in the first of the two epochs
            'warm-up': dict(variant(), custom_hooks=[dict(type='TokenKeepRatioWarmupHook', end=1)])
        }))

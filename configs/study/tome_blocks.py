# In which blocks ToMe is best, beside GAIE+: on the people of the embedded study, so that choosing
# favours ToMe. Run it by tools/analysis/study.py --data tome_blocks.
_base_ = 'embedded.py'

budgets = _base_.study.budgets


def tome(merge_layers, token_keep_ratio):
    """ToMe in other blocks, at the same cost."""
    neck = dict(type='ToMeNeck', token_keep_ratio=token_keep_ratio)
    return dict(model=dict(backbone=dict(neck=neck, merge_layers=merge_layers)))


def arms(budget, early_ratio, every_ratio):
    """The first three blocks, as GAIE+ and vid-TLDR have them; every block, as ToMe's authors."""
    return {
        **{name: budgets[budget][name] for name in ('GAIE+', 'vid-TLDR', 'ToMe')},
        'ToMe, early': tome((0, 1, 2), early_ratio),
        'ToMe, every block': tome((0, 1, 2, 3, 4, 5), every_ratio)
    }


study = dict(
    page='gaie_plus', reference='GAIE+', beside=(), regions=None,
    budgets={
        '_delete_': True,
        'full': {'plain ViT': {}},
        '0.7': arms('0.7', .82, .85),
        '0.4': arms('0.4', .66, .72)
    })

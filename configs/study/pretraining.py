# Whether masked pretraining helps: networks from scratch, and from weights pretrained on the
# training clips without their labels, with all labels or a part. Run it by
# tools/analysis/study.py --data pretraining.
_base_ = 'embedded.py'

model = _base_.model


def schedule(epochs):
    """A tenth of warm-up, then a cosine."""
    return dict(train_cfg=dict(max_epochs=epochs), param_scheduler=[
        dict(type='LinearLR', start_factor=0.02, end=epochs // 10 or 1, by_epoch=True,
             convert_to_iter_based=True),
        dict(type='CosineAnnealingLR', begin=epochs // 10 or 1,
             T_max=epochs - (epochs // 10 or 1), end=epochs, by_epoch=True,
             convert_to_iter_based=True)])


def training(share, epochs=16):
    """As many steps with a part of the labels as with all of them in ``epochs``."""
    return dict(schedule(round(epochs / share)), label_share=share)


def twice(name, settings):
    """An arm from pretrained weights and one from scratch."""
    return {name: settings, f'{name}, from scratch': dict(settings, from_scratch=True)}


necks = _base_.study.budgets['0.7']
optim_wrapper = dict(optimizer=dict(lr=1e-3))
study = dict(
    page='pretraining',
    seeds=5,
    beside=(),
    regions=None,
    heading='labels',
    reference='plain ViT, from scratch',
    start=dict(
        schedule(100),
        _delete_=True,
        model=dict(
            _delete_=True, type='MaskedVideoModel', backbone=dict(model.backbone), mask_ratio=.75,
            masking='random', decoder_depth=2, decoder_dims=64, decoder_heads=2,
            # without the clip's mean, normalized targets would be amplified noise
            normalize_target=False, data_preprocessor=dict(model.data_preprocessor))),
    budgets={
        '_delete_': True,
        '100 %': {
            **twice('plain ViT', training(1.)),
            **twice('GAIE', dict(training(1.), **necks['GAIE'])),
            **{name: dict(training(1.), **necks[name]) for name in ('GAIE+', 'ToMe', 'vid-TLDR')}
        },
        '100 %, half the steps': twice('plain ViT', training(1., 8)),
        '25 %': twice('plain ViT', training(.25)),
        '10 %': twice('plain ViT', training(.1)),
    })

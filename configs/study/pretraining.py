# Whether masked pretraining helps: the plain ViT and GAIE from scratch, and from weights pretrained
# on the training clips without their labels, with all labels or a part; and the reducers from
# pretrained weights. Run it by tools/analysis/study.py --data pretraining.
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


def arms(share, *reducers):
    """As many steps with a part of the labels as with all; reducers besides GAIE as in its study."""
    training = dict(schedule(round(8 / share)), label_share=share)
    arms = {name: dict(training, **neck) for name, neck in _base_.study.budgets['0.7'].items()
            if name in ('GAIE', *reducers)}
    return {**arms, 'plain ViT': training,
            'GAIE, from scratch': dict(arms['GAIE'], from_scratch=True),
            'plain ViT, from scratch': dict(training, from_scratch=True)}


optim_wrapper = dict(optimizer=dict(lr=1e-3))
study = dict(
    page='pretraining',
    seeds=5,
    beside=(),
    regions=None,
    heading='share of the labels',
    start=dict(
        schedule(100),
        _delete_=True,
        model=dict(
            _delete_=True, type='MaskedVideoModel', backbone=dict(model.backbone), mask_ratio=.6,
            decoder_depth=2, decoder_dims=64, decoder_heads=2,
            # without the clip's mean, normalized targets would be amplified noise
            normalize_target=False, data_preprocessor=dict(model.data_preprocessor))),
    budgets={
        '_delete_': True,
        '100 %': arms(1., 'GAIE+', 'ToMe', 'vid-TLDR', 'EViT'),
        '25 %': arms(.25),
        '10 %': arms(.1)
    })

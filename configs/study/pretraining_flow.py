# Whether masked pretraining helps on real footage, on its optical flow: run it by
# tools/analysis/study.py --data pretraining_flow --root FOLDER.
_base_ = 'egogestar_flow.py'

model = _base_.model
optim_wrapper = _base_.study.start.optim_wrapper


def schedule(epochs):
    """A tenth of warm-up, then a cosine."""
    return dict(train_cfg=dict(max_epochs=epochs), param_scheduler=[
        dict(type='LinearLR', start_factor=0.02, end=epochs // 10, by_epoch=True,
             convert_to_iter_based=True),
        dict(type='CosineAnnealingLR', begin=epochs // 10, T_max=epochs - epochs // 10, end=epochs,
             by_epoch=True, convert_to_iter_based=True)])


def training(share, epochs):
    """``share`` of the labels; with few, more epochs of fewer steps."""
    return dict(schedule(epochs), label_share=share)


def twice(name, settings):
    """An arm from pretrained weights and one from scratch."""
    return {name: settings, f'{name}, from scratch': dict(settings, from_scratch=True)}


study = dict(
    page='pretraining',
    seeds=1,
    heading='labels',
    reference='plain ViT, from scratch',
    start=dict(
        schedule(200),
        _delete_=True,
        model=dict(
            _delete_=True, type='MaskedVideoModel',
            backbone=dict(model.backbone, drop_path_rate=0.), mask_ratio=.75, masking='random',
            decoder_depth=2, decoder_dims=64, decoder_heads=2, normalize_target=False,
            data_preprocessor=dict(model.data_preprocessor))),
    budgets={
        '_delete_': True,
        '10 %': twice('plain ViT', training(.1, 240)),
        '25 %': twice('plain ViT', training(.25, 120)),
        '100 %': {
            **twice('plain ViT', training(1., 60)),
            **twice('GAIE', dict(training(1., 60), **_base_.study.budgets['0.7']['GAIE'])),
        },
    })

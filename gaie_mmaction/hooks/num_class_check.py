"""As many outputs as classes, known before the training."""
from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner


@HOOKS.register_module()
class NumClassCheckHook(Hook):
    """Compare the head's classes with those of the datasets, before the first iteration.

    As MMDetection's hook of that name. Otherwise a label beyond the head is an index error, or
    on a GPU an assertion of the device, and outputs beyond the labels show at the first
    validation. Datasets that name no classes are not checked.
    """

    def before_train(self, runner: Runner) -> None:
        """Compare.

        Raises:
            ValueError: If the numbers differ.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        outputs = getattr(getattr(model, 'cls_head', None), 'num_classes', None)
        loaders = dict(train_dataloader=runner.train_dataloader)
        if runner.val_loop is not None:
            loaders['val_dataloader'] = runner.val_dataloader
        for name, loader in loaders.items():
            classes = getattr(loader.dataset, 'metainfo', {}).get('classes')
            if outputs is not None and classes is not None and len(classes) != outputs:
                raise ValueError(
                    f'the model has {outputs} classes, but the dataset of {name} {len(classes)}: '
                    f'set model.cls_head.num_classes={len(classes)}, or the names of the '
                    f'{outputs} classes in {name}.dataset.metainfo')

"""Checks of model, data and checkpoint against each other, before the first iteration."""
from typing import Any

from mmaction.registry import HOOKS, MODELS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import BaseLoop, Runner
from torch import nn

from ..datasets.imigue_classes import HasIMiGUEClasses
from ..evaluation import MiGASubmission
from ..models import TokenReducer
from ..models.utils.weights import describe_misfits

HEAD = 'cls_head.'


def unwrap(model: nn.Module) -> Any:
    """The model without its distributed wrapper."""
    return model.module if is_model_wrapper(model) else model


@HOOKS.register_module()
class CheckpointFitHook(Hook):
    """Refuse to test with a checkpoint of another model.

    mmengine loads what fits, warns about the rest, and tests with that part at random. Training
    may start from part of a checkpoint, as finetuning does, and is not checked.
    """

    priority = 'LOWEST'  # EMAHook puts the averaged weights in place before

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare names and shapes, before the weights are loaded."""
        if isinstance(runner.optim_wrapper, (OptimWrapper, OptimWrapperDict)):
            return  # training: in a test it is still a config
        weights = {key.removeprefix('module.'): value
                   for key, value in checkpoint.get('state_dict', checkpoint).items()}
        own = unwrap(runner.model).state_dict()
        if not any(key.startswith(HEAD) for key in own):  # MMAction2's FeatureHead, for features
            weights = {key: value for key, value in weights.items() if not key.startswith(HEAD)}
        if misfits := describe_misfits(own, weights):
            raise ValueError('the checkpoint does not fit the config, and nothing was tested:'
                             f'{misfits}\ngive the config that it was trained with')


@HOOKS.register_module()
class NumClassCheckHook(Hook):
    """Compare the number of classes of the head and of the datasets, and look for lost labels.

    Same as MMDetection's hook of that name. Datasets without class names are not checked.
    """

    def before_train(self, runner: Runner) -> None:
        """Raise ``ValueError`` if the numbers differ, or a clip to train with has no label."""
        outputs = getattr(getattr(unwrap(runner.model), 'cls_head', None), 'num_classes', None)
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
        if outputs is not None:
            _require_labels(runner.train_dataloader.dataset)


def _require_labels(dataset: Any) -> None:
    while hasattr(dataset, 'dataset'):  # a wrapper's
        dataset = dataset.dataset
    has_labels = isinstance(dataset, HasIMiGUEClasses)
    if has_labels and (unlabelled := [idx for idx in range(len(dataset))
                                      if not dataset.get_cat_ids(idx)]):
        first = dataset.get_data_info(unlabelled[0])
        raise ValueError(
            f'{dataset.ann_file} has {len(unlabelled)} clips without a label, e.g. '
            f'{first.get("clip_id", first.get("frame_dir"))}: training needs one for each, so add '
            'the labels, or leave the clips out')


@HOOKS.register_module()
class TokenReducerCheckHook(Hook):
    """Refuse a backbone that ignores its ``neck``.

    MMAction2's ``VisionTransformer`` swallows unknown arguments, and would be the plain network.
    """

    def before_run(self, runner: Runner) -> None:
        """Look for the reducer of ``model.backbone.neck`` in the model."""
        backbone = runner.cfg.get('model', {}).get('backbone') or {}
        neck = backbone.get('neck') or {}
        kind = MODELS.get(neck['type']) if isinstance(neck.get('type'), str) else neck.get('type')
        if not (isinstance(kind, type) and issubclass(kind, TokenReducer)):
            return
        if not any(isinstance(module, TokenReducer) for module in runner.model.modules()):
            raise ValueError(f'the config names the token reducer {neck["type"]}, but the backbone '
                             f'{backbone["type"]} ignores it: set model.backbone.type='
                             "'GAIEVisionTransformer'")


@HOOKS.register_module()
class SubmissionHook(Hook):
    """Tell ``MiGASubmission`` the work folder, and check that its clips have ids."""

    def before_run(self, runner: Runner) -> None:
        """Look at the first clip of each part that the metric evaluates."""
        # the loops that this run does not use are still configs
        loops = dict(val=runner._val_loop, test=runner._test_loop)
        for part, loop in loops.items():
            if not isinstance(loop, BaseLoop):
                continue
            for metric in loop.evaluator.metrics:
                if isinstance(metric, MiGASubmission):
                    metric.work_dir = runner.work_dir
                    _require_clip_id(part, loop.dataloader.dataset)


def _require_clip_id(part: str, dataset: Any) -> None:
    if 'clip_id' in dataset[0]['data_samples']:
        return
    if 'clip_id' in dataset.get_data_info(0):
        way = f"add 'clip_id' to meta_keys of PackActionInputs in {part}_dataloader.dataset"
    else:
        way = (f"set {part}_dataloader.dataset.type='IMiGUEDataset', which reads the same "
               f"annotation files, or {part}_evaluator=dict(type='AccMetric')")
    raise ValueError(f'MiGASubmission needs the ids of the clips, and the {type(dataset).__name__} '
                     f'of {part}_dataloader gives none: {way}')

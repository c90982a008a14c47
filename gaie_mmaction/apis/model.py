"""Recognizers from config files and checkpoints, and the names of their classes."""
import copy
from collections.abc import Sequence
from dataclasses import dataclass

from mmaction.models import BaseRecognizer
from mmaction.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn

from ..models.utils.weights import describe_misfits


def load_config(path: str, options: dict | None = None) -> Config:
    """Read a config file and change it by ``options``, as ``--cfg-options`` does."""
    cfg = Config.fromfile(path)
    cfg.merge_from_dict(options or {})
    return cfg


def build_recognizer(cfg: Config, device: str = 'cpu') -> BaseRecognizer:
    """Build a config's model in evaluation mode, without weights; ``'meta'`` computes nothing."""
    init_default_scope(cfg.get('default_scope', 'mmaction'))
    return MODELS.build(cfg.model).eval().to(device)


def load_weights(model: nn.Module, checkpoint: str, config: str) -> dict:
    """Load a checkpoint (path or URL) that fits the model exactly, and return its ``meta``.

    Raises:
        ValueError: If a weight is missing, unexpected or of another shape than in ``config``, or
            if the file is damaged or refused.
        FileNotFoundError: If there is no such checkpoint.
    """
    try:
        loaded = CheckpointLoader.load_checkpoint(checkpoint, 'cpu', 'silent')
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    state = loaded.get('state_dict', loaded) if isinstance(loaded, dict) else loaded
    if not isinstance(state, dict):
        raise ValueError(f'checkpoint {checkpoint} holds no weights, but a {type(state).__name__}')
    weights = {key.removeprefix('module.'): value  # of distributed training
               for key, value in state.items()}
    if misfits := describe_misfits(model.state_dict(), weights):
        raise ValueError(f'checkpoint {checkpoint} does not fit {config}:{misfits}\n'
                         'give the config that it was trained with')
    model.load_state_dict(weights)
    return _as_dict(loaded.get('meta'))


def load_recognizer(cfg: Config, checkpoint: str,
                    device: str = 'cpu') -> tuple[BaseRecognizer, dict]:
    """Build a config's model with the weights of a checkpoint, as by :func:`load_weights`."""
    model = build_recognizer(cfg, device)
    return model, load_weights(model, checkpoint, cfg.filename)


def require_test_part(cfg: Config) -> None:
    """Raise ``ValueError`` for a config of pretraining, which tests nothing."""
    if cfg.get('test_dataloader') is None:
        raise ValueError(f'{cfg.filename} has no test pipeline: give the config of the network '
                         'that is trained from its weights')


def build_test_dataset(cfg: Config) -> BaseDataset:
    """Build the dataset of ``test_dataloader``; one whose clips have no ids is a ``ValueError``."""
    require_test_part(cfg)
    init_default_scope(cfg.get('default_scope', 'mmaction'))
    dataset = DATASETS.build(copy.deepcopy(cfg.test_dataloader.dataset))
    if 'clip_id' not in dataset.get_data_info(0):
        raise ValueError(f'the {type(dataset).__name__} of {cfg.filename} gives its clips no ids: '
                         "set test_dataloader.dataset.type='IMiGUEDataset', which reads the same "
                         'annotation files')
    return dataset


def view_shape(cfg: Config, view: Sequence[int] | None = None) -> tuple[int, ...]:
    """Shape of one view, ``(C, T, H, W)``, as the test pipeline makes it.

    C is 3, or the joints or limbs of heat maps. A network of joints has ``(M, T, V, 3)``: persons,
    frames, joints, coordinates. ``view`` is ``(T, H, W)`` instead of the pipeline's.

    Raises:
        ValueError: If the config is for pretraining or takes several inputs at once, or if its
            test pipeline does not name the sizes.
    """
    require_test_part(cfg)
    if 'preprocessors' in (cfg.model.get('data_preprocessor') or {}):
        raise ValueError(f'{cfg.filename} takes frames and skeletons at once: only a network of '
                         'one input has one shape and one cost per view, give such a config')
    sizes = {key: step[key] for step in cfg.test_dataloader.dataset.pipeline
             for key in ('clip_len', 'crop_size') if key in step}
    backbone = cfg.model.backbone
    if 'graph_cfg' in backbone or 'num_joints' in backbone:
        if view or 'clip_len' not in sizes:
            raise ValueError(f'{cfg.filename} is a network of joints: its shape follows from '
                             'clip_len of the test pipeline, not from --shape')
        joints = backbone.get('num_joints') or backbone.graph_cfg.layout.num_node
        return (backbone.get('num_person', 1), sizes['clip_len'], joints, 3)
    if view is None and len(sizes) < 2:
        raise ValueError(f'the test pipeline of {cfg.filename} names no clip_len and crop_size: '
                         'give --shape')
    if isinstance(sizes.get('clip_len'), dict):
        sizes['clip_len'] = sizes['clip_len']['RGB']  # skeletons only say where the person is
    view = view or (sizes['clip_len'], sizes['crop_size'], sizes['crop_size'])
    return (backbone.get('in_channels', 3), *view)


@dataclass(frozen=True)
class ClassNames:
    """Names of a model's outputs."""
    names: tuple[str, ...]
    origin: str  # 'the checkpoint', 'the config' or 'nobody'
    caution: str  # what a user must know before trusting the results; empty if nothing


def find_class_names(meta: dict, cfg: Config, num_classes: int) -> ClassNames:
    """Names from a checkpoint's ``meta``, else from the config's test dataset, else numbers.

    The config's names are a guess: the checkpoint may have been trained on other classes. Lists
    whose length is not ``num_classes`` are not used. ``metainfo=dict(caution=['...'])`` of a
    training set ends up in its checkpoints and becomes the caution (a list, because mmengine takes
    a plain string for a file name).
    """
    learned = _as_dict(meta.get('dataset_meta'))
    caution = learned.get('caution') or ()
    caution = _printable(' '.join(map(str, caution)) if isinstance(caution, (list, tuple))
                         else caution)
    classes = learned.get('classes', learned.get('CLASSES')) or ()
    if isinstance(classes, (list, tuple)) and len(classes) == num_classes:
        return ClassNames(tuple(map(_printable, classes)), 'the checkpoint', caution)
    reason = ('the checkpoint does not name its classes' if not classes else
              f'the checkpoint names {len(classes)} classes for {num_classes} outputs')
    dataset, lacking = cfg.test_dataloader.dataset, 'nor does the config'
    try:  # as the dataset does: names may be those of registered data, or in a file
        load = getattr(DATASETS.get(dataset.type), '_load_metainfo', dict)
        classes = load(dataset.get('metainfo') or {}).get('classes') or ()
    except FileNotFoundError as error:
        classes, lacking = (), f'and {error}'
    if isinstance(classes, (list, tuple)) and len(classes) == num_classes:
        return ClassNames(
            tuple(map(str, classes)), 'the config', '. '.join(filter(None, (
                f'{reason}: the names are the config\'s, and wrong if it was trained with others',
                caution))))
    names = tuple(f'class {label}' for label in range(num_classes))
    return ClassNames(names, 'nobody', '. '.join(filter(None, (
        f'{reason}, {lacking}: numbers only', caution))))


def _as_dict(value: object) -> dict:
    return value if isinstance(value, dict) else {}


def _printable(text: object) -> str:
    # a checkpoint may come from anybody: no characters that control a terminal
    return ''.join(letter for letter in str(text) if letter.isprintable())

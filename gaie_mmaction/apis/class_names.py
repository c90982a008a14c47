"""Names of a model's classes."""
from collections.abc import Sequence
from dataclasses import dataclass

from mmaction.registry import DATASETS
from mmengine.config import Config


@dataclass(frozen=True)
class ClassNames:
    """Names of a model's outputs.

    Attributes:
        names (tuple[str]): One per output.
        origin (str): Where they come from: ``'the checkpoint'``, ``'the config'`` or ``'nobody'``.
        caution (str): What a user must know before trusting the results; empty if nothing.
    """
    names: tuple[str, ...]
    origin: str
    caution: str


def find_class_names(meta: dict, cfg: Config, num_classes: int) -> ClassNames:
    """Names from the checkpoint, else from the config's dataset, else numbers.

    A checkpoint holds the classes that it was trained on. A config only has those of its own
    dataset, which the checkpoint may not have been trained on. ``metainfo=dict(caution=['...'])``
    of a training set ends up in its checkpoints and becomes the caution (a list, because mmengine
    takes a plain string for a file name).

    Args:
        meta (dict): The checkpoint's ``meta``.
        cfg (Config): With ``test_dataloader``.
        num_classes (int): Number of outputs. Lists of another length are not used.
    """
    learnt = meta.get('dataset_meta') or {}
    classes: Sequence[str] = learnt.get('classes', learnt.get('CLASSES')) or ()
    caution = learnt.get('caution', ())
    caution = _printable(caution if isinstance(caution, str) else ' '.join(map(str, caution)))
    if _is_complete(classes, num_classes):
        return ClassNames(tuple(map(_printable, classes)), 'the checkpoint', caution)
    reason = ('the checkpoint does not name its classes' if not classes else
              f'the checkpoint names {len(classes)} classes for {num_classes} outputs')
    dataset = cfg.test_dataloader.dataset
    metainfo = getattr(DATASETS.get(dataset.type), 'METAINFO', {})
    classes = {**metainfo, **dataset.get('metainfo', {})}.get('classes') or ()
    if _is_complete(classes, num_classes):
        return ClassNames(
            tuple(map(str, classes)), 'the config', caution or
            f'{reason}: the names are the config\'s, and wrong if it was trained with others')
    names = tuple(f'class {label}' for label in range(num_classes))
    return ClassNames(names, 'nobody', caution or f'{reason}, nor does the config: numbers only')


def _is_complete(classes: Sequence[str], num_classes: int) -> bool:
    return isinstance(classes, (list, tuple)) and len(classes) == num_classes


def _printable(text: object) -> str:
    # a checkpoint may come from anybody: no characters that control a terminal
    return ''.join(letter for letter in str(text) if letter.isprintable())

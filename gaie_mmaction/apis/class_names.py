"""Names of a model's classes."""
from dataclasses import dataclass

from mmaction.registry import DATASETS
from mmengine.config import Config


@dataclass(frozen=True)
class ClassNames:
    """Names of a model's outputs.

    Attributes:
        names (tuple[str]): One per output.
        origin (str): Who names them: ``'the checkpoint'``, ``'the config'`` or ``'nobody'``.
        caution (str): What a user must know before trusting the results; empty if nothing.
    """
    names: tuple[str, ...]
    origin: str
    caution: str


def find_class_names(meta: dict, cfg: Config, num_classes: int) -> ClassNames:
    """Names from a checkpoint's ``meta``, else from the config's test dataset, else numbers.

    The config's names are a guess: the checkpoint may have been trained on other classes. Lists
    whose length is not ``num_classes`` are not used. ``metainfo=dict(caution=['...'])`` of a
    training set ends up in its checkpoints and becomes the caution (a list, because mmengine takes
    a plain string for a file name).
    """
    learnt = meta.get('dataset_meta') or {}
    caution = learnt.get('caution', ())
    caution = _printable(caution if isinstance(caution, str) else ' '.join(map(str, caution)))
    classes = learnt.get('classes', learnt.get('CLASSES')) or ()
    if isinstance(classes, (list, tuple)) and len(classes) == num_classes:
        return ClassNames(tuple(map(_printable, classes)), 'the checkpoint', caution)
    reason = ('the checkpoint does not name its classes' if not classes else
              f'the checkpoint names {len(classes)} classes for {num_classes} outputs')
    dataset = cfg.test_dataloader.dataset
    metainfo = getattr(DATASETS.get(dataset.type), 'METAINFO', {})
    classes = {**metainfo, **dataset.get('metainfo', {})}.get('classes') or ()
    if isinstance(classes, (list, tuple)) and len(classes) == num_classes:
        return ClassNames(
            tuple(map(str, classes)), 'the config', caution or
            f'{reason}: the names are the config\'s, and wrong if it was trained with others')
    names = tuple(f'class {label}' for label in range(num_classes))
    return ClassNames(names, 'nobody', caution or f'{reason}, nor does the config: numbers only')


def _printable(text: object) -> str:
    # a checkpoint may come from anybody: no characters that control a terminal
    return ''.join(letter for letter in str(text) if letter.isprintable())

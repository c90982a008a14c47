"""What the outputs of a checkpoint are called, and who says so."""
from collections.abc import Sequence
from dataclasses import dataclass

from mmaction.registry import DATASETS
from mmengine.config import Config


@dataclass(frozen=True)
class ClassNames:
    """Names of a model's outputs.

    Attributes:
        names (tuple[str]): One an output.
        origin (str): Who names them, in words.
        caution (str): What a user has to know before believing them; empty if nothing.
    """
    names: tuple[str, ...]
    origin: str
    caution: str


def find_class_names(meta: dict, cfg: Config, num_classes: int) -> ClassNames:
    """Name the outputs: as the checkpoint says, else as the config's data set says.

    A checkpoint remembers the classes that it was trained on, so they hold even if the
    config has been changed since. A config only says what its own data set has:
    whether the checkpoint learnt the same classes in the same order is then unknown.
    ``metainfo=dict(caution=['...'])`` of a training set goes into its checkpoints and is
    repeated here (a list, as mmengine takes a bare text for the name of a file).

    Args:
        meta (dict): The checkpoint's ``meta``.
        cfg (Config): With ``test_dataloader``.
        num_classes (int): Outputs of the model.

    Returns:
        ClassNames: The names; numbers if neither list has as many entries as there are outputs.
    """
    learnt = meta.get('dataset_meta') or {}
    classes: Sequence[str] = learnt.get('classes', learnt.get('CLASSES')) or ()
    caution = learnt.get('caution', ())
    caution = _plain(caution if isinstance(caution, str) else ' '.join(map(str, caution)))
    if _fits(classes, num_classes):
        return ClassNames(tuple(map(_plain, classes)), 'the checkpoint', caution)
    unsaid = ('the checkpoint does not name its classes' if not classes else
              f'the checkpoint names {len(classes)} classes for {num_classes} outputs')
    dataset = cfg.test_dataloader.dataset
    metainfo = getattr(DATASETS.get(dataset.type), 'METAINFO', {})
    classes = {**metainfo, **dataset.get('metainfo', {})}.get('classes') or ()
    if _fits(classes, num_classes):
        return ClassNames(
            tuple(map(str, classes)), 'the config', caution or
            f'{unsaid}: the names are the config\'s, and hold only if it was trained with them')
    names = tuple(f'class {label}' for label in range(num_classes))
    return ClassNames(names, 'nobody', caution or f'{unsaid}, nor does the config: numbers alone')


def _fits(classes: Sequence[str], num_classes: int) -> bool:
    return isinstance(classes, (list, tuple)) and len(classes) == num_classes


def _plain(text: object) -> str:
    """Without characters that would steer a terminal: a checkpoint may come from anybody."""
    return ''.join(letter for letter in str(text) if letter.isprintable())

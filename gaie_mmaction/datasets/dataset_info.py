"""Classes and groups of each data set, which ``metainfo=dict(dataset='ma52')`` looks up.

To add one, call :func:`register_dataset_info` in a file that the config's ``custom_imports`` names.
"""
from collections.abc import Mapping, Sequence
from typing import Any

_INFOS: dict[str, dict[str, Any]] = {}


def register_dataset_info(name: str, *, classes: Sequence[str], codes: Sequence[int] | None = None,
                          groups: Mapping[str, Sequence[int]] | None = None) -> None:
    """Register a data set.

    Args:
        name (str): Its name in configs.
        classes (Sequence[str]): Names, in the order of the labels.
        codes (Sequence[int], optional): Class of each label in the label files. Defaults to None,
            the labels themselves.
        groups (Mapping[str, Sequence[int]], optional): Labels of each coarse class, which the
            metric :class:`MicroActionF1` needs. Defaults to None.

    Raises:
        ValueError: If another data set has the name, classes occur twice, ``codes`` is not as
            long as ``classes``, or a label is not in exactly one group.
    """
    if len(set(classes)) != len(classes):
        raise ValueError(f'the classes of {name} must have different names')
    if codes is not None and len(codes) != len(classes):
        raise ValueError(f'{name} has {len(classes)} classes, but {len(codes)} codes')
    if groups is not None and sorted(label for labels in groups.values() for label in labels) != (
            list(range(len(classes)))):
        raise ValueError(f'each of the {len(classes)} labels of {name} must be in one group')
    info: dict[str, Any] = dict(classes=tuple(classes))
    if codes is not None:
        info['codes'] = tuple(codes)
    if groups is not None:
        info['groups'] = {group: tuple(labels) for group, labels in groups.items()}
    if _INFOS.setdefault(name, info) != info:
        raise ValueError(f'another data set is registered as {name}: choose a different name')


def get_dataset_info(name: str) -> dict[str, Any]:
    """``classes`` and, where there are any, ``codes`` and ``groups``.

    Raises:
        KeyError: If no data set has this name.
    """
    if name not in _INFOS:
        raise KeyError(f'no data set is registered as {name!r}, only {", ".join(_INFOS)}: name '
                       'the file that registers it in custom_imports')
    return dict(_INFOS[name])

"""Skeletons as plain arrays in an npz, a form that cannot hold code.

Letters: N clips, R rows, the persons' frames of all clips after each other, V joints, S splits.

========================== ========== =====================================================
array                      shape      content
========================== ========== =====================================================
``frame_dir``              (N,)       clip ids, texts
``label``                  (N,)       -1 is unlabelled
``num_persons``            (N,)       M of each clip
``total_frames``           (N,)       T of each clip
``img_shape``              (N, 2)     height and width in pixels
``original_shape``         (N, 2)     likewise; may be missing
``keypoint``               (R, V, 2)  x and y in pixels, M x T rows a clip, person by person
``keypoint_score``         (R, V)     scores of the same rows
``split_names``            (S,)       texts
``split_sizes``            (S,)       clips of each split
``split_members``          (any,)     clip ids of the first split, then of the second, ...
========================== ========== =====================================================
"""
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple, Union

import numpy as np

from ..files import atomic_file

SHAPES = ('img_shape', 'original_shape')
# number of dimensions and kinds of dtype; what keypoints must be, the dataset checks
ARRAYS = dict(
    frame_dir=(1, 'U'), label=(1, 'iu'), num_persons=(1, 'iu'), total_frames=(1, 'iu'),
    img_shape=(2, 'iu'), keypoint=(3, 'fiu'), keypoint_score=(2, 'fiu'), split_names=(1, 'U'),
    split_sizes=(1, 'iu'), split_members=(1, 'U'))
OPTIONAL = dict(original_shape=(2, 'iu'))
A_CLIP = ('frame_dir', 'label', 'num_persons', 'total_frames', *SHAPES)
IN_CLIPS = ('frame_dir', 'label', 'total_frames', 'img_shape', 'keypoint', 'keypoint_score')


def write_skeleton_npz(path: Union[str, Path], content: Dict[str, Any]) -> None:
    """Write skeletons as plain arrays.

    Args:
        path (str or Path): The file; what is there is replaced once the new one is whole.
        content (dict): ``split``, lists of clip ids by name, and ``annotations``, a dict a clip,
            as MMAction2's ``PoseDataset`` has them: ``frame_dir``, ``label``,
            ``total_frames``, ``img_shape`` (H, W), perhaps ``original_shape``, ``keypoint``
            ``(M, T, V, 2)`` and ``keypoint_score`` ``(M, T, V)``. V and dtypes are the same
            in all clips; they are kept.

    Raises:
        ValueError: If a clip has other keys or shapes, or something that no array holds.
    """
    clips, splits = content['annotations'], content['split']
    arrays: Dict[str, Any] = {**_of_clips(path, clips), **_of_splits(path, splits)}
    with atomic_file(Path(path)) as partial, open(partial, 'wb') as file:
        np.savez(file, **arrays)


def _of_clips(path: Union[str, Path], clips: Sequence[Dict[str, Any]]) -> Dict[str, np.ndarray]:
    keys = {*IN_CLIPS, 'original_shape'} if clips and 'original_shape' in clips[0] else {*IN_CLIPS}
    for place, clip in enumerate(clips):
        if set(clip) != keys:
            raise ValueError(f'{path} cannot be written: annotation {place} must have '
                             f'{", ".join(sorted(keys))}, but has {", ".join(sorted(clip))}')
        _check(path, clip, clips[0])
    arrays = dict(
        frame_dir=_texts(path, 'frame_dir', [clip['frame_dir'] for clip in clips]),
        num_persons=np.array([len(clip['keypoint']) for clip in clips], np.int64),
        label=_integers(path, 'label', [clip['label'] for clip in clips]),
        total_frames=_integers(path, 'total_frames', [clip['total_frames'] for clip in clips]))
    for key in SHAPES:
        if key in keys:
            sides = [side for clip in clips for side in clip[key]]
            arrays[key] = _integers(path, key, sides).reshape(len(clips), 2)
    for key, end in (('keypoint', (2, )), ('keypoint_score', ())):
        first = clips[0][key] if clips else np.zeros((1, 1, 0, *end), np.float32)
        # (M, T, V, ...) of each clip -> (R, V, ...)
        rows = [clip[key].reshape(-1, *first.shape[2:]) for clip in clips]
        arrays[key] = np.concatenate([np.empty((0, *first.shape[2:]), first.dtype), *rows],
                                     dtype=first.dtype)
    return arrays


def _check(path: Union[str, Path], clip: Dict[str, Any], first: Dict[str, Any]) -> None:
    """What one array for all clips needs."""
    where = f'{path} cannot be written: clip {clip["frame_dir"]}'
    for key, end in (('keypoint', (2, )), ('keypoint_score', ())):
        values = clip[key]
        if not (isinstance(values, np.ndarray) and values.dtype.kind in 'fiu'
                and values.shape == (*clip['keypoint'].shape[:3], *end)):
            raise ValueError(f'{where} needs keypoint (M, T, V, 2) and keypoint_score (M, T, V), '
                             f'arrays of numbers, but its {key} is {_form(values)}')
        if (values.dtype, values.shape[2]) != (first[key].dtype, first[key].shape[2]):
            raise ValueError(f'{where} has {_form(values)} in {key}, but the first clip '
                             f'{_form(first[key])}: number of joints and dtype must be the same '
                             'in all clips')
    if clip['total_frames'] != clip['keypoint'].shape[1]:
        raise ValueError(f'{where} has {clip["keypoint"].shape[1]} frames in keypoint, but '
                         f'total_frames is {clip["total_frames"]}')
    for key in SHAPES:
        if key in clip and len(clip[key]) != 2:
            raise ValueError(f'{where}: {key} must be (H, W), but is {clip[key]}')


def _form(values: Any) -> str:
    return (f'{values.dtype} {values.shape}' if isinstance(values, np.ndarray) else
            f'a {type(values).__name__}')


def _of_splits(path: Union[str, Path], splits: Dict[str, List[str]]) -> Dict[str, np.ndarray]:
    members = [clip_id for ids in splits.values() for clip_id in ids]
    return dict(
        split_names=_texts(path, 'split_names', list(splits)),
        split_sizes=np.array([len(ids) for ids in splits.values()], np.int64),
        split_members=_texts(path, 'split_members', members))


def _texts(path: Union[str, Path], key: str, texts: List[Any]) -> np.ndarray:
    array = np.array(texts, dtype=str)
    for text, kept in zip(texts, array.tolist()):  # numbers become texts, zeros at the end go
        if text != kept:
            raise ValueError(f'{path} cannot be written: {key} holds {text!r}, no text')
    return array


def _integers(path: Union[str, Path], key: str, numbers: List[Any]) -> np.ndarray:
    for number in numbers:
        if not isinstance(number, (int, np.integer)):
            raise ValueError(f'{path} cannot be written: {key} holds {number!r}, no integer')
    return np.array(numbers, np.int64)


def read_skeleton_npz(path: str) -> Dict[str, Any]:
    """Read what :func:`write_skeleton_npz` wrote. Nothing in such a file can be run.

    Args:
        path (str): The file.

    Returns:
        dict: ``split`` and ``annotations``, as they were written; keypoints are views of one
        array.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no npz, damaged or incomplete, or an array is missing, or has
            another form or length than the others tell.
    """
    arrays = _read_arrays(path)
    num_clips = len(arrays['frame_dir'])
    for key in A_CLIP:
        if key in arrays:
            _require(path, key, arrays[key], (num_clips, 2) if key in SHAPES else (num_clips, ))
    num_joints = arrays['keypoint'].shape[1]
    persons, frames = arrays['num_persons'].tolist(), arrays['total_frames'].tolist()
    rows = [count * length for count, length in zip(persons, frames)]
    for key in ('num_persons', 'total_frames', 'split_sizes'):
        for number in arrays[key].tolist():
            if not 0 <= number < 2**31:
                raise ValueError(f'{path}: {key} holds {number}; it must be in 0..{2**31 - 1}')
    _require(path, 'keypoint', arrays['keypoint'], (sum(rows), num_joints, 2))
    _require(path, 'keypoint_score', arrays['keypoint_score'], (sum(rows), num_joints))
    _require(path, 'split_sizes', arrays['split_sizes'], arrays['split_names'].shape)
    sizes = arrays['split_sizes'].tolist()
    _require(path, 'split_members', arrays['split_members'], (sum(sizes), ))

    annotations, begin = [], 0
    for place in range(num_clips):
        clip: Dict[str, Any] = {key: arrays[key][place].item() for key in
                                ('frame_dir', 'label', 'total_frames')}
        clip.update((key, tuple(arrays[key][place].tolist())) for key in SHAPES if key in arrays)
        shape, end = (persons[place], frames[place], num_joints), begin + rows[place]
        # (M x T, V, ...) -> (M, T, V, ...)
        clip['keypoint'] = arrays['keypoint'][begin:end].reshape(*shape, 2)
        clip['keypoint_score'] = arrays['keypoint_score'][begin:end].reshape(shape)
        annotations.append(clip)
        begin = end
    return dict(split=_splits(path, arrays, sizes), annotations=annotations)


def _read_arrays(path: str) -> Dict[str, np.ndarray]:
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path} does not exist')
    arrays: Dict[str, np.ndarray] = {}
    place = ''
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError('it is no complete zip archive')
        with np.load(path, allow_pickle=False) as file:
            missing = [key for key in ARRAYS if key not in file]
            for key in (*ARRAYS, *OPTIONAL):
                if key in file:
                    place = f', array {key}'
                    arrays[key] = file[key]
    except (OSError, ValueError, EOFError, RuntimeError, MemoryError, KeyError, TypeError,
            SyntaxError, struct.error, zipfile.BadZipFile, zlib.error) as error:  # as damage ends
        raise ValueError(f'{path}{place} ({os.path.getsize(path)} bytes) cannot be read: {error}. '
                         'It is no npz of plain arrays, or damaged or incomplete') from error
    if missing:
        raise ValueError(f'{path} lacks the array {", ".join(missing)}: it is no file of '
                         'skeletons, as tools/data/prepare_imigue.py --skeleton-format npz writes '
                         'it')
    for key, array in arrays.items():
        ndim, kinds = {**ARRAYS, **OPTIONAL}[key]
        # an entry that is no array comes as its bytes
        if not (isinstance(array, np.ndarray) and array.ndim == ndim and array.dtype.kind in kinds):
            kind = 'texts' if kinds == 'U' else 'integers' if kinds == 'iu' else 'numbers'
            raise ValueError(f'{path}: {key} must be an array of {kind} with {ndim} dimensions, '
                             f'but is {_form(array)}')
    return arrays


def _require(path: str, key: str, array: np.ndarray, shape: Tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f'{path}: {key} has the shape {array.shape}, but needs {shape} by the '
                         'other arrays')


def _splits(path: str, arrays: Dict[str, np.ndarray], sizes: List[int]) -> Dict[str, List[str]]:
    names, members = arrays['split_names'].tolist(), arrays['split_members'].tolist()
    if len(set(names)) != len(names):
        raise ValueError(f'{path}: split_names holds a name twice: {", ".join(names)}')
    ends = np.cumsum([0, *sizes]).tolist()
    return {name: members[ends[place]:ends[place + 1]] for place, name in enumerate(names)}

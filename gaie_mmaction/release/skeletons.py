"""Read the skeleton file of a video as 22 or 137 joints per frame."""
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from python_calamine import CalamineError

from ..datasets.skeleton_layout import hands_swapped
from .archives import find_excess

# Three columns per joint: x, y, score. Of OpenPose's 25 body joints the upper body and the face,
# then the fingertips from thumb to little finger, left hand first.
BODY = (*range(8), *range(15, 19))
FROM_LIGHT_HAND = (*BODY, *range(25, 35))
FROM_OPENPOSE = (*BODY, 99, 103, 107, 111, 115, 120, 124, 128, 132, 136)


class SkeletonError(Exception):
    """A skeleton file cannot be used."""


def read_skeleton(path: Path, num_frames: int,
                  joints: int = 22) -> tuple[np.ndarray, list[str]]:
    """Read ``<VID>_light_hand.csv`` (header, index, 35 joints), or a workbook of 137 joints.

    Returns ``(num_frames, joints, 3)`` float32 (x and y in pixels of the video and the score in
    [0, 1], zeros where a joint is missing), and the deviations with what was done about them.
    ``joints`` is 22, the challenge kit's, or 137, all of a workbook. A file of other columns, or
    that cannot be read, is a :class:`SkeletonError`.
    """
    light_hand = path.suffix.lower() == '.csv'
    num_joints, chosen = (35, FROM_LIGHT_HAND) if light_hand else (137, FROM_OPENPOSE)
    deviations: list[str] = []
    try:
        table = _read_csv(path, deviations) if light_hand else _read_workbook(path)
    except (OSError, ValueError, KeyError, CalamineError, zipfile.BadZipFile,
            NotImplementedError) as error:  # pandas' own are ValueErrors
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SkeletonError(f'cannot be read ({reason})') from error
    columns = 3 * num_joints + light_hand
    if table.shape[1] != columns:
        raise SkeletonError(f'has {table.shape[1]} columns instead of {columns}')
    values = _numbers(table, deviations)
    places = np.arange(len(values))
    if light_hand:
        places = _places(values[:, 0], num_frames, deviations)
        values = values[:, 1:]
    rows = values.reshape(len(values), num_joints, 3)
    if len(rows) != num_frames:
        change = 'the rest is left out' if len(rows) > num_frames else 'the others are missing'
        deviations.append(f'has {len(rows)} rows for {num_frames} frames; {change}')
    skeleton = np.zeros((num_frames, num_joints, 3), np.float32)
    inside = (places >= 0) & (places < num_frames)
    skeleton[places[inside]] = rows[inside]
    skeleton *= skeleton[..., :2].any(axis=-1, keepdims=True)  # a score alone is no joint
    kit = skeleton[:, chosen]
    if not skeleton.any():
        deviations.append('is empty: no joint in any frame')
    elif hands_swapped(kit):
        deviations.append('seems to have left and right hand swapped: its left fingertips are '
                          'nearer to the right wrist; left as it is')
    return kit if joints == len(chosen) else skeleton, deviations


def _read_csv(path: Path, deviations: list[str]) -> pd.DataFrame:
    """Table without its header row, if it has one."""
    with open(path, encoding='utf-8-sig') as file:
        first, second = file.readline(), file.readline()
    if not first.strip():
        raise ValueError('the file is empty')
    names = first.strip().split(',')
    # column names, or the columns' numbers as pandas writes them; a frame is neither
    numbers = pd.to_numeric(pd.Series(names), errors='coerce').to_numpy(np.float64)
    header = bool(np.isnan(numbers[0]) or np.isnan(numbers).all()
                  or len(numbers) > 2 and (np.diff(numbers) == 1).all())
    if not header:
        deviations.append('has no header row; all rows are taken for frames')
    elif not second.strip():
        return pd.DataFrame(np.empty((0, len(names))))
    return pd.read_csv(path, header=None, skiprows=int(header), encoding='utf-8-sig',
                       low_memory=False)


def _read_workbook(path: Path) -> pd.DataFrame:
    with zipfile.ZipFile(path) as file:  # which a workbook is, and one of zeros takes for ever
        excess = find_excess(file.infolist(), path.stat().st_size)
    if excess:
        raise ValueError(excess)
    return pd.read_excel(path, header=None, engine='calamine')


def _numbers(table: pd.DataFrame, deviations: list[str]) -> np.ndarray:
    """Values as float32, 0 for what is not a finite number."""
    with np.errstate(over='ignore'):  # what float32 cannot hold is infinite, and so not a number
        numbers = table.apply(pd.to_numeric, errors='coerce').to_numpy(np.float32)
    bad = ~np.isfinite(numbers)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        first = f'({str(table.iat[row, column])!r}) in row {row + 1} of the data'
        deviations.append(f'{int(bad.sum())} values are not numbers, the first one {first}, '
                          f'column {column + 1}; taken for missing')
    return np.where(bad, np.float32(0), numbers)


def _places(index: np.ndarray, num_frames: int, deviations: list[str]) -> np.ndarray:
    """Frame of each row by its index column."""
    rows = np.arange(len(index))
    if np.array_equal(index, rows):
        return rows
    if not np.array_equal(index, rows + 1):
        steps = np.diff(index)
        if (steps >= 1).all() and (steps % 1 == 0).all() and index[0] % 1 == 0 and (
                0 <= index[0] and index[-1] < num_frames):
            deviations.append('its index skips frames; a row is taken for the frame of its index')
            return index.astype(int)
        deviations.append('its index does not count the frames; rows are taken in their order')
    elif len(index) < num_frames:
        deviations.append('begins one frame late: its first row has the index 1, frame 0 is '
                          'missing')
        return rows + 1
    else:
        deviations.append('its index begins at 1; its first row is taken for frame 0')
    return rows

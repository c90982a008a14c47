"""How many tokens of a known region stay in their own place."""
import csv
from collections.abc import Sequence

import numpy as np

Box = tuple[float, float, float, float]


def read_regions(path: str) -> dict[str, Box]:
    """Read ``clip_id,x0,y0,x1,y1``, pixels of the video; the right and lower ends are outside.

    Args:
        path (str): Path of the csv, such as ``regions.csv`` of the demo release.

    Returns:
        dict[str, tuple]: Left, top, right and bottom by clip id.

    Raises:
        ValueError: If the header is another one, or a row cannot be read.
    """
    with open(path, newline='', encoding='utf-8-sig') as file:
        rows = csv.DictReader(file)
        columns = ['clip_id', 'x0', 'y0', 'x1', 'y1']
        if rows.fieldnames != columns:
            raise ValueError(f'{path} must have the header {",".join(columns)}, but it has '
                             f'{",".join(rows.fieldnames or [])!r}')
        found: dict[str, Box] = {}
        for row in rows:
            try:
                left, top, right, bottom = (float(row[name]) for name in columns[1:])
            except (TypeError, ValueError) as error:
                raise ValueError(f'{path}, line {rows.line_num}: {error}') from error
            box = left, top, right, bottom
            if not (left < right and top < bottom):
                raise ValueError(f'{path}, line {rows.line_num}: needs x0 < x1 and y0 < y1, but '
                                 f'got {box}')
            found[row['clip_id']] = box
    return found


def region_weights(region: Box, view: Box, frame: tuple[int, int],
                   cells: tuple[int, int]) -> np.ndarray:
    """Share of each token's place that lies in a region.

    Args:
        region (tuple[float]): Left, top, right and bottom, pixels of the frame.
        view (tuple[float]): Left, top, width and height of what the network sees, as shares
            of the frame.
        frame (tuple[int, int]): Height and width, pixels.
        cells (tuple[int, int]): H' and W' of the tokens.

    Returns:
        np.ndarray: ``(H', W')``, in [0, 1].
    """
    height, width = frame
    across = _overlap(region[0] / width, region[2] / width, view[0], view[2], cells[1])
    down = _overlap(region[1] / height, region[3] / height, view[1], view[3], cells[0])
    return down[:, None] * across[None, :]


def _overlap(low: float, high: float, start: float, length: float, cells: int) -> np.ndarray:
    borders = start + length * np.arange(cells + 1) / cells
    shared = np.minimum(borders[1:], high) - np.maximum(borders[:-1], low)
    return np.clip(shared / (length / cells), 0, 1)


def survival(kept: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Share of a region's tokens that are still in their own place.

    Args:
        kept (Sequence[np.ndarray]): Of each of M merges, ``(T', H', W')`` bool.
        weights (np.ndarray): ``(H', W')``, as of :func:`region_weights`; not all zero.

    Returns:
        np.ndarray: ``(M,)``, in [0, 1]; a place counts by its weight, all tubelets alike.
    """
    return np.array([(mask * weights).sum() / (len(mask) * weights.sum()) for mask in kept])


def bootstrap_interval(values: np.ndarray, samples: int = 2000) -> tuple[float, float]:
    """95 % interval of a mean over clips, by the percentile bootstrap.

    Args:
        values (np.ndarray): ``(clips,)``.
        samples (int): Resamplings. Defaults to 2000.

    Returns:
        tuple[float, float]: Lower and upper end.
    """
    picks = np.random.default_rng(0).integers(0, len(values), (samples, len(values)))
    return tuple(np.percentile(values[picks].mean(axis=1), [2.5, 97.5]).tolist())

"""Importance and token groups drawn over a frame.

A box is (left, top, width, height), each as a share of the frame: the part that the model saw.
The rest of the frame is darkened.
"""
from typing import TYPE_CHECKING

import cv2
import matplotlib
import numpy as np

if TYPE_CHECKING:
    from ..apis import Window

Box = tuple[float, ...]
WHOLE: Box = (0., 0., 1., 1.)
INFERNO = (255 * matplotlib.colormaps['inferno'](np.arange(256))[:, :3]).astype(np.uint8)


def enlarge(grid: np.ndarray, height: int, width: int) -> np.ndarray:
    """Nearest-neighbour upsampling, ``(H', W', ...) -> (H, W, ...)``, also by uneven factors."""
    rows = np.arange(height) * grid.shape[0] // height
    columns = np.arange(width) * grid.shape[1] // width
    return grid[rows][:, columns]


def color_of(number: np.ndarray) -> np.ndarray:
    """A fixed colour for each number, ``(...) int -> (..., 3) uint8``; neighbours differ in hue."""
    number = np.asarray(number, dtype=np.int64)
    hue = (number * 111) % 180  # 111 / 180 is near the golden ratio
    value = 160 + 19 * (number // 7 % 6)
    hsv = np.stack([hue, np.full_like(hue, 200), value], axis=-1).astype(np.uint8)
    return cv2.cvtColor(hsv.reshape(1, -1, 3), cv2.COLOR_HSV2RGB).reshape(hsv.shape)


def paint_importance(frame: np.ndarray, importance: np.ndarray, top: float,
                     box: Box = WHOLE) -> np.ndarray:
    """Blend a non-negative heat-map ``(H', W')`` into a copy of a frame ``(H, W, 3)``.

    ``top`` is the value of the brightest colour.
    """
    image, part = _darken_outside(frame, box)
    level = (255 * np.clip(importance / top, 0, 1)).astype(np.uint8)
    part[:] = (.45 * part + .55 * enlarge(INFERNO[level], *part.shape[:2])).astype(np.uint8)
    return image


def paint_tokens(frame: np.ndarray, kept: np.ndarray, owner: np.ndarray,
                 box: Box = WHOLE) -> np.ndarray:
    """Show kept tokens as they are, merged ones dark in the colour of what they merged into.

    ``kept`` and ``owner`` are ``(H', W')``, as in :class:`TokenMap`; dropped ones are black.
    """
    image, part = _darken_outside(frame, box)
    height, width = part.shape[:2]
    merged = enlarge(~kept, height, width)
    color = np.where(owner[..., None] < 0, 0, color_of(owner))
    mixed = .2 * part + .35 * enlarge(color, height, width)
    part[merged] = mixed[merged].astype(np.uint8)
    return image


def paint_window(frame: np.ndarray, number: int, window: 'Window',
                 tubelet_size: int) -> list[np.ndarray]:
    """Panels of frame ``number``, ``(H, W, 3)``, by the tubelet whose frames are nearest.

    They are the importance before the first reduction, if the reducer has one, and the tokens that
    the last one kept. Without a reducer there are none.
    """
    tokens = window.tokens
    if tokens is None:
        return []
    seen = int(np.abs(window.frame_inds - number).argmin())
    t = min(seen // tubelet_size, len(tokens.kept[-1]) - 1)
    panels = [paint_tokens(frame, tokens.kept[-1][t], tokens.owner[-1][t], window.box)]
    heat = tokens.importance[0]
    if heat is not None:
        top = float(np.percentile(heat, 99))
        panels.insert(0, paint_importance(frame, heat[t], top, window.box))
    return panels


def box_in_pixels(box: Box, height: int, width: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a box, pixels of a frame of H x W."""
    return (round(box[0] * width), round(box[1] * height), round((box[0] + box[2]) * width),
            round((box[1] + box[3]) * height))


def _darken_outside(frame: np.ndarray, box: Box) -> tuple[np.ndarray, np.ndarray]:
    left, top, right, bottom = box_in_pixels(box, *frame.shape[:2])
    image = frame // 2
    image[top:bottom, left:right] = frame[top:bottom, left:right]
    return image, image[top:bottom, left:right]

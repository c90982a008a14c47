"""Importance and token groups over one frame.

A box is (left, top, width, height), each as a share of the frame: what the network saw of it.
"""

import cv2
import matplotlib
import numpy as np

Box = tuple[float, float, float, float]
INFERNO = (255 * matplotlib.colormaps['inferno'](np.arange(256))[:, :3]).astype(np.uint8)


def enlarge(grid: np.ndarray, height: int, width: int) -> np.ndarray:
    """Give each cell of a grid its pixels, without smoothing.

    Args:
        grid (np.ndarray): ``(H', W', ...)``.
        height, width (int): H and W, pixels; they need not be multiples of the grid's.

    Returns:
        np.ndarray: ``(H, W, ...)``.
    """
    rows = np.arange(height) * grid.shape[0] // height
    columns = np.arange(width) * grid.shape[1] // width
    return grid[rows][:, columns]


def colour_of(number: np.ndarray) -> np.ndarray:
    """A colour for each number, the same at any time.

    Args:
        number (np.ndarray): ``(...)`` int; neighbouring numbers differ much in hue.

    Returns:
        np.ndarray: ``(..., 3)`` uint8, RGB.
    """
    number = np.asarray(number, dtype=np.int64)
    hue = (number * 111) % 180  # 111 / 180 is near the golden ratio
    value = 160 + 19 * (number // 7 % 6)
    hsv = np.stack([hue, np.full_like(hue, 200), value], axis=-1).astype(np.uint8)
    return cv2.cvtColor(hsv.reshape(1, -1, 3), cv2.COLOR_HSV2RGB).reshape(hsv.shape)


def paint_importance(frame: np.ndarray, importance: np.ndarray, top: float,
                     box: Box = (0, 0, 1, 1)) -> np.ndarray:
    """Lay a heat-map over a frame.

    Args:
        frame (np.ndarray): ``(H, W, 3)`` uint8, RGB.
        importance (np.ndarray): ``(H', W')``, non-negative.
        top (float): Value of the brightest colour.
        box (tuple[float]): Where it belongs. Defaults to the whole frame.

    Returns:
        np.ndarray: The picture, like ``frame``.
    """
    image, part = _copy(frame, box)
    level = (255 * np.clip(importance / top, 0, 1)).astype(np.uint8)
    heat = enlarge(INFERNO[level], *part.shape[:2])
    part[:] = (.45 * part + .55 * heat).astype(np.uint8)
    return image


def paint_tokens(frame: np.ndarray, kept: np.ndarray, owner: np.ndarray,
                 box: Box = (0, 0, 1, 1)) -> np.ndarray:
    """Show kept places as they are, merged ones dark in the colour of what they merged into.

    Args:
        frame (np.ndarray): ``(H, W, 3)`` uint8, RGB.
        kept (np.ndarray): ``(H', W')`` bool.
        owner (np.ndarray): ``(H', W')`` int, as of :class:`TokenMap`; -1 (dropped) is black.
        box (tuple[float]): Where they belong. Defaults to the whole frame.

    Returns:
        np.ndarray: The picture, like ``frame``.
    """
    image, part = _copy(frame, box)
    height, width = part.shape[:2]
    merged = enlarge(~kept, height, width)
    colour = np.where(owner[..., None] < 0, 0, colour_of(owner))
    mixed = .2 * part + .35 * enlarge(colour, height, width)
    part[merged] = mixed[merged].astype(np.uint8)
    return image


def box_in_pixels(box: Box, height: int, width: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a box, pixels of a frame of H x W."""
    return (round(box[0] * width), round(box[1] * height), round((box[0] + box[2]) * width),
            round((box[1] + box[3]) * height))


def _copy(frame: np.ndarray, box: Box) -> tuple[np.ndarray, np.ndarray]:
    """A copy of the frame, darker outside of the box, and the view of it inside."""
    left, top, right, bottom = box_in_pixels(box, *frame.shape[:2])
    image = frame // 2
    image[top:bottom, left:right] = frame[top:bottom, left:right]
    return image, image[top:bottom, left:right]

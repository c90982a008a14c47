"""Importance of tokens next to Grad-CAM."""
import warnings

import numpy as np
from matplotlib.figure import Figure
from mmaction.utils import GradCAM
from mmengine.dataset import pseudo_collate
from scipy.stats import spearmanr
from torch import nn

from .image_grid import draw_rows
from .overlay import paint_importance
from .token_map import TokenMap


def grad_cam(model: nn.Module, packed: dict, grid: tuple[int, int, int]) -> np.ndarray:
    """Grad-CAM of the best class, by MMAction2's ``GradCAM``.

    Args:
        model (nn.Module): Recognizer with a ``FeatMapVisionTransformer``.
        packed (dict): Result of PackActionInputs for one view.
        grid (tuple[int, int, int]): (T', H', W') of the tokens.

    Returns:
        np.ndarray: ``(T', H', W')``, in [0, 1].
    """
    # a grey colour map without the frame below: the pixels are the map itself
    cam = GradCAM(model, 'backbone/feat_map', colormap='gray')
    with warnings.catch_warnings():
        # it asks for gradients of outputs alone, which its old kind of hook gives as well
        warnings.filterwarnings('ignore', message='Using a non-full backward hook')
        pixels, _ = cam(pseudo_collate([packed]), alpha=1.)
    pixels = pixels[0, ..., 0].numpy()  # (T, H, W)
    shape = [n for length, cells in zip(pixels.shape, grid) for n in (cells, length // cells)]
    return pixels.reshape(shape).mean(axis=(1, 3, 5))


def draw_heat_maps(frames: np.ndarray, tokens: TokenMap, cam: np.ndarray,
                   title: str = '') -> tuple[Figure, list[float]]:
    """Draw the importance before each merge and Grad-CAM, one below the other.

    Args:
        frames (np.ndarray): ``(T', H, W, 3)`` uint8, RGB, one frame per tubelet.
        tokens (TokenMap): Of a reducer that uses importance.
        cam (np.ndarray): ``(T', H', W')``.
        title (str): Defaults to ''.

    Returns:
        tuple: The figure, and Spearman's rank correlation of Grad-CAM with the importance before
        each merge, over all original tokens.
    """
    maps = [heat for heat in tokens.importance if heat is not None]
    ranks = [float(spearmanr(heat.ravel(), cam.ravel()).statistic) for heat in maps]
    names = [f'importance\nbefore merge {merge}\n(rank corr. {rank:+.2f})'
             for merge, rank in enumerate(ranks, 1)]
    rows = [('frame', list(frames))]
    for name, heat in zip([*names, 'Grad-CAM'], [*maps, cam]):
        top = max(float(np.percentile(heat, 99)), 1e-12)
        rows.append((name, [paint_importance(frame, part, top)
                            for frame, part in zip(frames, heat)]))
    return draw_rows(rows, title)[0], ranks

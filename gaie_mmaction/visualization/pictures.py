"""Figures of one clip: a column per tubelet, rows of frames with importance, tokens or Grad-CAM."""
import warnings
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from mmaction.utils import GradCAM
from mmengine.dataset import pseudo_collate
from scipy.stats import spearmanr
from torch import nn

from .fonts import find_font
from .overlay import color_of, enlarge, paint_importance
from .token_map import TokenMap


def draw_token_map(frames: np.ndarray, tokens: TokenMap, title: str = '',
                   layers: Sequence[int] = ()) -> Figure:
    """Draw the frames ``(T', H, W, 3)``, the importance, and two rows for each merge.

    In the first, tokens that were merged or dropped so far are dimmed. In the second, all places
    that one token stands for share a colour, the same in every merge; tokens that stand for
    themselves alone show the frame, and dropped ones are black. ``layers`` are the 0-based blocks
    of the merges, to name the rows.
    """
    height, width = frames.shape[1:3]
    rows = [('frame', list(frames))]
    heat = tokens.importance[0]
    if heat is not None:
        heat = heat / heat.mean()
        rows.append(('importance\nbefore merge 1', list(frames)))
    for merge, (kept, owner) in enumerate(zip(tokens.kept, tokens.owner)):
        name = f'merge {merge + 1}' + (f' (block {layers[merge]})' if len(layers) else '')
        masks = [enlarge(mask, height, width)[..., None] for mask in kept]
        rows.append((f'{name}:\n{kept.sum()} of {kept.size} kept', [
            np.where(mask, frame, .22 * frame).astype(np.uint8)
            for mask, frame in zip(masks, frames)]))
        rows.append((f'{name}:\nmerged into', _paint_groups(frames, owner)))
    figure, axes = _draw_rows(rows, title, margin=1.4)
    for t in range(len(frames)):
        axes[0, t].set_title(f'tubelet {t + 1}', fontsize=8)
        if heat is not None:
            image = axes[1, t].imshow(
                heat[t], cmap='inferno', alpha=.65, vmin=0, vmax=np.percentile(heat, 99),
                extent=(-.5, width - .5, height - .5, -.5), interpolation='nearest')
    if heat is not None:
        bar = figure.colorbar(image, ax=axes[1, :].tolist(), fraction=.02, pad=.01)
        bar.set_label('relative to the mean', fontsize=7)
        bar.ax.tick_params(labelsize=7)
    return figure


def _paint_groups(frames: np.ndarray, owner: np.ndarray) -> list[np.ndarray]:
    height, width = frames.shape[1:3]
    _, inverse, counts = np.unique(owner, return_inverse=True, return_counts=True)
    alone = counts[inverse].reshape(owner.shape) == 1
    images = []
    for frame, own, single in zip(frames, owner, alone):
        image = .35 * frame + .65 * enlarge(color_of(own), height, width)
        single = enlarge(single, height, width)
        image[single] = frame[single]
        image[enlarge(own < 0, height, width)] = 0
        images.append(image.astype(np.uint8))
    return images


def grad_cam(model: nn.Module, packed: dict, grid: tuple[int, int, int]) -> np.ndarray:
    """MMAction2's Grad-CAM of the best class, ``(T', H', W')`` = ``grid``, in [0, 1].

    ``model`` has a ``FeatMapVisionTransformer``; ``packed`` is PackActionInputs' result of a view.
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
    """Draw frames ``(T', H, W, 3)``, the importance before each merge and Grad-CAM, in rows.

    Also returns Spearman's rank correlation of Grad-CAM with the importance before each merge,
    over all original tokens.
    """
    maps = [heat for heat in tokens.importance if heat is not None]
    ranks = [float(spearmanr(heat.ravel(), cam.ravel()).statistic) for heat in maps]
    names = [f'importance\nbefore merge {merge}\n(rank corr. {rank:+.2f})'
             for merge, rank in enumerate(ranks, 1)]
    rows = [('frame', list(frames))]
    for name, heat in zip([*names, 'Grad-CAM'], [*maps, cam]):
        top = max(float(np.percentile(heat, 99)), 1e-12)
        rows.append((name, [paint_importance(*pair, top) for pair in zip(frames, heat)]))
    return _draw_rows(rows, title)[0], ranks


def _draw_rows(rows: Sequence[tuple[str, Sequence[np.ndarray]]], title: str,
               margin: float = .8) -> tuple[Figure, np.ndarray]:
    """A figure of named rows of images of one size, ``margin`` inches beside them, and its axes."""
    columns = len(rows[0][1])
    height, width = rows[0][1][0].shape[:2]
    figure = Figure(layout='constrained', figsize=(
        1.9 * columns * width / height + margin, 1.9 * len(rows) + .5))
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, (name, images) in enumerate(rows):
        for column, image in enumerate(images):
            axes[row, column].imshow(image)
            axes[row, column].set(xticks=[], yticks=[])
        axes[row, 0].set_ylabel(name, fontsize=8)
    figure.suptitle(title, font=FontProperties(fname=find_font(title)), fontsize=9, wrap=True,
                    parse_math=False)
    return figure, axes


def figure_to_image(figure: Figure, dpi: int = 80) -> np.ndarray:
    """Render a figure to ``(H, W, 3)`` uint8, RGB."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()

"""Figures made of rows of frames."""
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from .fonts import find_font


def draw_rows(rows: Sequence[tuple[str, Sequence[np.ndarray]]], title: str,
              margin: float = .8) -> tuple[Figure, np.ndarray]:
    """Draw rows, each a name and as many images ``(H, W, 3)``, all of one size.

    ``margin`` are the inches beside the images. Returns the figure and its axes
    ``(rows, images)``.
    """
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
    figure.suptitle(title, font=FontProperties(fname=find_font(title)), fontsize=9, wrap=True)
    return figure, axes


def figure_to_image(figure: Figure, dpi: int = 80) -> np.ndarray:
    """Render a figure to ``(H, W, 3)`` uint8, RGB."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()

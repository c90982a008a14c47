"""Picture of which tokens of a clip were kept and merged, layer by layer."""
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from .image_grid import draw_rows
from .overlay import color_of, enlarge
from .token_map import TokenMap

DIM = .22


def draw_token_map(frames: np.ndarray, tokens: TokenMap, title: str = '',
                   layers: Sequence[int] = ()) -> Figure:
    """Draw one clip: a column per tubelet, rows for the frame, the importance and each merge.

    Each merge has two rows. In the first, tokens that were merged or dropped so far are dimmed.
    In the second, all places that one token stands for share a colour, the same in every merge;
    tokens that stand for themselves alone show the frame, and dropped ones are black.

    Args:
        frames (np.ndarray): ``(T', H, W, 3)`` uint8, RGB, one frame per tubelet.
        tokens (TokenMap): Of the clip.
        title (str): Defaults to ''.
        layers (Sequence[int]): 0-based blocks of the merges, to name the rows. Defaults to ().
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
            np.where(mask, frame, DIM * frame).astype(np.uint8)
            for mask, frame in zip(masks, frames)]))
        rows.append((f'{name}:\nmerged into', _paint_groups(frames, owner)))
    figure, axes = draw_rows(rows, title, margin=1.4)
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

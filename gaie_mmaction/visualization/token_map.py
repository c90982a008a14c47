"""Which tokens were kept, which were merged, and where the importance lies.

Letters: M merges, N0 original tokens, (T', H', W') their grid. All of one clip.
"""
from typing import List, Sequence, Tuple

import matplotlib

matplotlib.use('Agg')  # pictures go to files, on machines without a screen too
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402

from ..models import TokenState  # noqa: E402


def spread_importance(before: TokenState) -> np.ndarray:
    """Importance of the token that holds each original token, ``(N0,)``.

    Args:
        before (TokenState): State before a merge, of one clip.

    Returns:
        np.ndarray: ``(N0,)``, non-negative; 0 where no token is left.
    """
    source = before.source[0]
    spread = before.importance[0].gather(0, source.clamp(min=0)).masked_fill(source < 0, 0)
    return spread.float().cpu().numpy()


def kept_masks(history: Sequence[TokenState]) -> List[np.ndarray]:
    """Which original tokens are still in their own place after each merge.

    Args:
        history (Sequence[TokenState]): What ``forward_tokens`` recorded of one clip.

    Returns:
        list[np.ndarray]: M masks ``(N0,)`` of bool.
    """
    masks = []
    for after in history[1::2]:
        mask = np.zeros(after.source.shape[1], dtype=bool)
        position = after.position[0].cpu().numpy()
        mask[position[position >= 0]] = True  # a fused token has no place of its own
        masks.append(mask)
    return masks


def draw_token_map(frames: np.ndarray, history: Sequence[TokenState], grid: Tuple[int, int, int],
                   path: str, title: str = '') -> None:
    """Draw one clip: a column for each tubelet, and rows for the frame, the importance, each merge.

    Places that were merged or dropped are dimmed. In the last row those that ended in
    the same token share a colour; dropped ones have none. A reducer that uses no
    importance has no row for it.

    Args:
        frames (np.ndarray): ``(T', H, W, 3)`` uint8, RGB, one frame for each tubelet.
        history (Sequence[TokenState]): What ``forward_tokens`` recorded, batch of one.
        grid (tuple[int, int, int]): ``(T', H', W')``.
        path (str): PNG to write.
        title (str): Head of the picture. Defaults to ''.
    """
    importance = history[0].importance
    if importance is not None:
        importance = spread_importance(history[0]).reshape(grid)
        importance = importance / importance.mean()
    masks = [mask.reshape(grid) for mask in kept_masks(history)]
    owner = history[-1].source[0].cpu().numpy().reshape(grid)
    colours = np.random.default_rng(0).permutation(history[-1].x.shape[1])
    first = 1 if importance is None else 2  # the row of the first merge
    rows = first + len(masks) + 1
    height, width = frames.shape[1:3]
    figure, axes = plt.subplots(rows, grid[0], squeeze=False, layout='constrained',
                                figsize=(1.9 * grid[0] * width / height + 1.2, 1.9 * rows + .5))
    kept = [f'merge {m + 1}: {mask.sum()} of {mask.size} kept' for m, mask in enumerate(masks)]
    names = ['frame', *['importance, merge 1'] * (first - 1), *kept, 'merged into']
    for t in range(grid[0]):
        show = [frames[t]] * rows
        for m, mask in enumerate(masks):
            dim = np.where(_enlarge(mask[t], height, width), 1., .22)
            show[first + m] = (frames[t] * dim[..., None]).astype(np.uint8)
        for row in range(rows):
            axis = axes[row, t]
            axis.imshow(show[row])
            axis.set(xticks=[], yticks=[])
            if t == 0:
                axis.set_ylabel(names[row], fontsize=8)
        axes[0, t].set_title(f'tubelet {t + 1}', fontsize=8)
        box = dict(extent=(-.5, width - .5, height - .5, -.5), interpolation='nearest')
        group = np.ma.masked_where(owner[t] < 0, colours[owner[t]])
        axes[-1, t].imshow(group, cmap='gist_ncar', alpha=.6, vmin=0, vmax=len(colours), **box)
        if importance is not None:
            heat = axes[1, t].imshow(
                importance[t], cmap='inferno', alpha=.65, vmin=0,
                vmax=np.percentile(importance, 99), **box)
    if importance is not None:
        bar = figure.colorbar(heat, ax=axes[1, :].tolist(), fraction=.02, pad=.01)
        bar.set_label('times the mean', fontsize=7)
        bar.ax.tick_params(labelsize=7)
    figure.suptitle(title, fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _enlarge(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    return mask.repeat(height // mask.shape[0], axis=0).repeat(width // mask.shape[1], axis=1)

"""Segments of a video along time: the true ones and the ones that detectors found."""
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..utils.files import atomic_file

HATCHES = (None, '////', '....', 'xxxx')  # one for each 20 classes


def draw_timeline(path: str | Path, rows: Mapping[str, Sequence[tuple]], num_frames: int,
                  classes: Sequence[str], title: str = '') -> None:
    """Draw one row of segments per name, with a color per class, as PNG.

    Of more than 20 classes in a picture the further ones are hatched, so that 80 differ.

    Args:
        path (str or Path): Path of the picture.
        rows (Mapping[str, Sequence[tuple]]): ``(video_id, start_frame, end_frame, label[,
            score])`` of one video by the name of the row, from top to bottom.
        num_frames (int): Length of the video.
        classes (Sequence[str]): Names of the classes.
        title (str): Defaults to ''.
    """
    from matplotlib import colormaps  # slow to import
    from matplotlib.figure import Figure  # not pyplot: no screen, no state
    from matplotlib.patches import Patch
    present = sorted({int(segment[3]) for segments in rows.values() for segment in segments})
    palette = colormaps['tab20']
    style: dict[int, dict[str, Any]] = {
        label: dict(facecolor=palette(place % 20), hatch=HATCHES[place // 20 % len(HATCHES)])
        for place, label in enumerate(present)}
    figure = Figure(figsize=(14, 1.6 + .6 * len(rows) + .14 * len(present)), layout='constrained')
    axes = figure.add_subplot()
    for height, segments in enumerate(rows.values()):
        for segment in segments:
            start, end, label = segment[1:4]
            axes.barh(height, end - start + 1, left=start, height=.8, **style[int(label)],
                      alpha=1 if len(segment) < 5 else .35 + .65 * min(max(segment[4], 0), 1))
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.set(xlim=(0, num_frames), xlabel='frame')
    axes.set_title(title, parse_math=False)
    figure.legend(handles=[Patch(**style[label], label=classes[label]) for label in present],
                  loc='outside lower center', ncols=4, fontsize=8)
    with atomic_file(path) as partial:
        figure.savefig(partial, format='png', dpi=120)

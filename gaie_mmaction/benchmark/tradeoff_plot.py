"""Accuracy and speed against multiply-adds."""
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from ..utils.files import atomic_file

PANEL, DPI = (6., 4.5), 150  # inches
MARK = 5.  # points around a point that no name may cover
LEADER = 14.  # points; a name further away gets a line


def draw_tradeoff(path: Path, names: Sequence[str], gmacs: Sequence[float],
                  panels: dict[str, Sequence[float | None]], title: str) -> None:
    """Draw a panel for each measure that any model has.

    Args:
        path (Path): PNG to write.
        names (Sequence[str]): Of the models, beside their points.
        gmacs (Sequence[float]): True multiply-adds in 10^9, the horizontal axis.
        panels (dict[str, Sequence[float or None]]): By name with unit, the values.
        title (str): Above all.
    """
    panels = {label: values for label, values in panels.items()
              if any(value is not None for value in values)}
    figure = Figure((PANEL[0] * len(panels), PANEL[1]), dpi=DPI, layout='constrained')
    canvas = FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=9)
    all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (label, values) in zip(all_axes, panels.items()):
        axes.set(xlabel='GMACs per view (true)', ylabel=label)
        axes.grid(alpha=.3)
        axes.margins(.2)
        for number, (x, y) in enumerate(zip(gmacs, values)):
            if y is not None:
                axes.plot(x, y, 'o', color=f'C{number % 10}')
    canvas.draw()  # lays out, which fixes where points are
    figure.set_layout_engine('none')
    for axes, values in zip(all_axes, panels.values()):
        known = [(place, value) for place, value in enumerate(values) if value is not None]
        place_names(axes, [names[place] for place, _ in known],
                    [gmacs[place] for place, _ in known], [value for _, value in known],
                    [f'C{place % 10}' for place, _ in known])
    with atomic_file(path) as partial:
        figure.savefig(partial, format='png')


def place_names(axes: Axes, names: Sequence[str], xs: Sequence[float],
                ys: Sequence[float], colors: Sequence[str]) -> list[Annotation]:
    """Write each name near its point, clear of the other names and of all points.

    Args:
        axes (Axes): Laid out.
        names (Sequence[str]): Of the points.
        xs (Sequence[float]): Theirs.
        ys (Sequence[float]): Theirs.
        colors (Sequence[str]): Theirs.

    Returns:
        list[Annotation]: The names.
    """
    canvas = axes.figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    renderer = canvas.get_renderer()
    frame, pad = axes.get_window_extent(renderer), MARK * axes.figure.dpi / 72
    centres = axes.transData.transform(list(zip(xs, ys)))
    taken = [Bbox([[x - pad, y - pad], [x + pad, y + pad]]) for x, y in centres]
    notes = []
    for name, x, y, color in zip(names, xs, ys, colors, strict=True):
        note = axes.annotate(name, (x, y), (0, 0), textcoords='offset points', fontsize=7,
                             color=color,
                             arrowprops=dict(arrowstyle='-', lw=.4, color='0.5', shrinkB=2))
        for right, up in _offsets():
            note.set_position((right, up))
            note.set_horizontalalignment('left' if right >= 0 else 'right')
            note.set_verticalalignment('center')
            note.update_positions(renderer)
            box = Text.get_window_extent(note, renderer)  # without the line's
            inside = (frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0
                      and box.y1 <= frame.y1)
            if inside and not any(box.overlaps(other) for other in taken):
                break
        assert note.arrow_patch is not None  # arrowprops asks for it
        note.arrow_patch.set_visible(math.hypot(right, up) > LEADER)
        taken.append(box)
        notes.append(note)
    return notes


def _offsets() -> Iterator[tuple[float, float]]:
    """Distance, right and up, in points: beside the point first, then in growing circles."""
    for radius in range(8, 240, 6):
        for step in range(16):
            angle = 2 * math.pi * step / 16
            yield radius * math.cos(angle), radius * math.sin(angle)

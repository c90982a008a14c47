"""Pictures of a comparison: accuracy and speed against multiply-adds, and speed over a sweep."""
import math
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from matplotlib.figure import Figure

from ..utils.files import atomic_file
from .comparison import Result, arithmetic_speed, baselines

# more than a readable picture has models
STYLES = [dict(color=f'C{color}', marker=marker) for marker, color in product('osD^', range(10))]


def draw_tradeoff(path: Path, results: Sequence[Result], title: str) -> None:
    """Draw Top-1, if it was measured, and clips/s over GMACs, one point per result."""
    panels = {'clips/s': [r.point.batch_size / r.inference.median for r in results]}
    if any(result.metrics for result in results):
        panels['Top-1 (%)'] = [100 * r.metrics['acc/top1'] if r.metrics else math.nan
                               for r in results]
    figure = Figure((6. * len(panels), 4.5), dpi=150, layout='constrained')
    for axes, (label, values) in zip(figure.subplots(1, len(panels), squeeze=False)[0],
                                     panels.items()):
        for result, value, style in zip(results, values, STYLES):
            axes.plot(result.complexity.true_macs / 1e9, value, linestyle='none', **style,
                      label=result.name)
        axes.set(xlabel='GMACs per view (true)', ylabel=label)
    save(figure, path, title)


def draw_sweep(path: Path, results: Sequence[Result], title: str) -> None:
    """Draw speed over the first model at each point, and what the multiply-adds allow."""
    firsts = baselines(results)
    points = list(dict.fromkeys(result.point for result in results))
    names = list(dict.fromkeys(result.name for result in results))
    panels = ['inference', 'training'] if results[0].training else ['inference']
    figure = Figure((max(5., 1.1 * len(points) + 2.5) * len(panels), 4.5), dpi=150,
                    layout='constrained')
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels):
        for name, style in zip(names, STYLES):
            mine = [(result, firsts[result.point]) for result in results if result.name == name]
            axes.plot([getattr(own, panel).speed_over(getattr(first, panel))
                       for own, first in mine], '-', **style, label=name)
            axes.plot([arithmetic_speed(*pair) for pair in mine], ':', color=style['color'])
        axes.set_xticks(range(len(points)), [str(point).replace(', ', '\n') for point in points],
                        fontsize=7)
        axes.set(title=f'{panel} (dotted: by multiply-adds)', ylabel=f'speed, {names[0]} = 1',
                 xlim=(-.5, len(points) - .5))
    save(figure, path, title)


def save(figure: Figure, path: Path, title: str) -> None:
    """Write a figure as PNG, with the legend of its first panel beside all of them."""
    figure.suptitle(title, fontsize=8, wrap=True)
    for axes in figure.axes:
        axes.grid(alpha=.3)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside right upper', fontsize=7)
    with atomic_file(path) as partial:
        figure.savefig(partial, format='png')

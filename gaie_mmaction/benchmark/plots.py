"""Pictures of a comparison: accuracy and speed against multiply-adds, and speed over a sweep."""
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from matplotlib.figure import Figure

from ..utils.files import atomic_file
from .comparison import Result, arithmetic_speed, baselines
from .latency import Timing

# color and marker: more than any readable picture has models
STYLES = [dict(color=f'C{color}', marker=marker) for marker, color in product('osD^', range(10))]


def draw_tradeoff(path: Path, results: Sequence[Result], title: str) -> None:
    """Draw Top-1, if it was measured, and clips/s over GMACs, one point per result."""
    panels: dict[str, list[float | None]] = {
        'clips/s': [r.point.batch_size / r.inference.median for r in results]}
    if any(result.entry.metrics for result in results):
        panels = {'Top-1 (%)': [100 * r.entry.metrics['acc/top1'] if r.entry.metrics else None
                                for r in results], **panels}
    figure = Figure((6. * len(panels), 4.5), dpi=150, layout='constrained')
    for axes, (label, values) in zip(figure.subplots(1, len(panels), squeeze=False)[0],
                                     panels.items()):
        for result, value, style in zip(results, values, STYLES):
            if value is not None:
                axes.plot(result.complexity.true_macs / 1e9, value, linestyle='none', **style,
                          label=result.entry.name)
        axes.set(xlabel='GMACs per view (true)', ylabel=label)
        axes.grid(alpha=.3)
    _save(figure, path, title)


def draw_sweep(path: Path, results: Sequence[Result], title: str) -> None:
    """Draw speed over the first model at each point, and what the multiply-adds allow."""
    firsts = baselines(results)
    points = list(dict.fromkeys(result.point for result in results))
    names = list(dict.fromkeys(result.entry.name for result in results))
    panels = ['inference', 'training'] if results[0].training else ['inference']
    figure = Figure((max(5., 1.1 * len(points) + 2.5) * len(panels), 4.5), dpi=150,
                    layout='constrained')
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels):
        for name, style in zip(names, STYLES):
            mine = [result for result in results if result.entry.name == name]
            timings: list[tuple[Timing, Timing]] = [
                (getattr(r, panel), getattr(firsts[r.point], panel)) for r in mine]
            axes.plot([own.speed_over(first) for own, first in timings], '-', **style, label=name)
            axes.plot([arithmetic_speed(r, firsts[r.point]) for r in mine], ':',
                      color=style['color'])
        axes.set_xticks(range(len(points)), [str(point).replace(', ', '\n') for point in points],
                        fontsize=7)
        axes.set(title=f'{panel} (dotted: by multiply-adds)', ylabel=f'speed, {names[0]} = 1',
                 xlim=(-.5, len(points) - .5))
        axes.grid(alpha=.3)
    _save(figure, path, title)


def _save(figure: Figure, path: Path, title: str) -> None:
    figure.suptitle(title, fontsize=8, wrap=True)
    handles, labels = figure.axes[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside right upper', fontsize=7)
    with atomic_file(path) as partial:
        figure.savefig(partial, format='png')

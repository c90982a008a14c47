"""Speed over batch, frames, pixels, keep ratio and precision, beside what the arithmetic allows."""
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mmengine.config import Config

from ..apis.model import build_recognizer, view_shape
from ..utils.files import atomic_file
from .comparison import Conditions, Entry, Row, measure
from .text_table import TextTable

NOTHING = '-'


@dataclass(frozen=True)
class Point:
    """What is the same for all models of a comparison.

    Attributes:
        batch_size (int): Clips in a step.
        dtype (str): ``'float32'`` or ``'bfloat16'`` (autocast).
        frames (int, optional): T of a view; None leaves the config's.
        size (int, optional): Height and width of a view, pixels; None leaves the config's.
        ratio (float, optional): ``token_keep_ratio`` of the reducers that have one; None
            leaves the config's.
    """
    batch_size: int
    dtype: str
    frames: int | None = None
    size: int | None = None
    ratio: float | None = None

    def __str__(self) -> str:
        parts = [f'batch {self.batch_size}', self.dtype]
        parts += [f'{self.frames} frames'] if self.frames else []
        parts += [f'{self.size} px'] if self.size else []
        parts += [f'ratio {self.ratio:g}'] if self.ratio else []
        return ', '.join(parts)


def all_points(batch_sizes: Sequence[int], dtypes: Sequence[str],
               frames: Sequence[int | None], sizes: Sequence[int | None],
               ratios: Sequence[float | None]) -> list[Point]:
    """Every combination, the first argument varying slowest."""
    return [Point(batch, dtype, length, size, ratio) for batch, dtype, length, size, ratio
            in product(batch_sizes, dtypes, frames, sizes, ratios)]


def build_entry(name: str, config: str, point: Point, conditions: Conditions) -> Entry:
    """A model of random weights for a point.

    Args:
        name (str): In the tables.
        config (str): Path.
        point (Point): Changes of the config.
        conditions (Conditions): With the device.

    Returns:
        Entry: The model; its position table has the point's size.

    Raises:
        ValueError: If the backbone cannot be built with those sizes.
    """
    cfg = Config.fromfile(config)
    backbone = cfg.model.backbone
    shape = list(view_shape(cfg))
    for key, value, places in (('num_frames', point.frames, [1]), ('img_size', point.size, [2, 3])):
        if value:
            for place in places:
                shape[place] = value
            if key in backbone:
                backbone[key] = value
    neck = backbone.get('neck')
    if point.ratio and neck is not None and neck.get('token_keep_ratio') is not None:
        neck.token_keep_ratio = point.ratio
    return Entry(name, config, None, cfg, build_recognizer(cfg).to(conditions.device), tuple(shape))


@dataclass(frozen=True)
class Measured:
    """One model at one point.

    Attributes:
        point (Point): Where.
        entry (Entry): The model, without its weights.
        row (Row): What was measured.
        first (Row): The first model's at the same point.
    """
    point: Point
    entry: Entry
    row: Row
    first: Row

    @property
    def limit(self) -> float:
        """float: Speed over the first if time went by multiply-adds alone."""
        return self.first.complexity.true_macs / self.row.complexity.true_macs


def sweep(configs: dict[str, str], points: Sequence[Point], conditions: Conditions,
          say: Callable[[str], None], prepare: Callable[[Entry], None] = lambda entry: None
          ) -> list[Measured]:
    """Measure all models at all points; at each, they take turns.

    Args:
        configs (dict[str, str]): By name, their paths.
        points (Sequence[Point]): Where.
        conditions (Conditions): Device, rounds and warm-up; batch and dtype are the points'.
        say (Callable): Gets a line about what comes next.
        prepare (Callable): Done to each model first. Defaults to nothing.

    Returns:
        list[Measured]: Point by point.
    """
    measured = []
    for number, point in enumerate(points, 1):
        say(f'point {number} of {len(points)}: {point}')
        here = replace(conditions, batch_size=point.batch_size, dtype=point.dtype)
        entries = [build_entry(name, config, point, here) for name, config in configs.items()]
        for entry in entries:
            prepare(entry)
        rows = measure(entries, here, say)
        measured += [Measured(point, replace(entry, model=None), row, rows[0])
                     for entry, row in zip(entries, rows)]
    return measured


def sweep_table(measured: Sequence[Measured]) -> TextTable:
    """One line a point and model.

    Args:
        measured (Sequence[Measured]): What :func:`sweep` gave.

    Returns:
        TextTable: ``speed``: the first model's time by this one's, median over the rounds;
        ``by arithmetic``: the same of true multiply-adds; ``reached``: speed by that.
    """
    lines = []
    for one in measured:
        row, first, point = one.row, one.first, one.point
        cells = {
            'model': one.entry.name, 'batch': str(point.batch_size), 'dtype': point.dtype,
            'view': 'x'.join(map(str, one.entry.shape[1:])),
            'ratio': f'{point.ratio:g}' if point.ratio else NOTHING,
            'GMACs': f'{row.complexity.true_macs / 1e9:.3f}'}
        for name, timing, start, memory, start_memory in (
                ('', row.inference, first.inference, row.inference_memory, first.inference_memory),
                ('train ', row.training, first.training, row.training_memory,
                 first.training_memory)):
            if timing is None or start is None or memory is None or start_memory is None:
                continue
            speed = timing.speed_over(start)
            cells.update({
                f'{name}ms': f'{1e3 * timing.median:.2f}',
                f'{name}speed': f'{speed:.3f}',
                f'{name}reached': f'{speed / one.limit:.3f}',
                f'{name}peak MiB': f'{memory / 2**20:.1f}',
                f'{name}memory': f'{memory / start_memory:.3f}'})
        cells['by arithmetic'] = f'{one.limit:.3f}'
        lines.append(cells)
    return TextTable('Speed', tuple(lines[0]), [tuple(line.values()) for line in lines],
                     words=('model', 'dtype', 'view'))


def growth_exponents(measured: Sequence[Measured]) -> dict[str, float]:
    """How time grows with tokens: the slope of log time over log tokens, by model.

    Args:
        measured (Sequence[Measured]): Of points that differ in frames or pixels alone.

    Returns:
        dict[str, float]: Least squares; {} unless there are two numbers of tokens at least.
    """
    values: dict[str, list[tuple[float, float]]] = {}
    for one in measured:
        # the view's volume is proportional to the tokens
        values.setdefault(one.entry.name, []).append(
            (math.log(math.prod(one.entry.shape[1:])), math.log(one.row.inference.median)))
    if len({volume for volume, _ in next(iter(values.values()))}) < 2:
        return {}
    slopes = {}
    for name, pairs in values.items():
        volumes, seconds = zip(*pairs)
        slopes[name] = float(np.polyfit(volumes, seconds, 1)[0])
    return slopes


def draw_sweep(path: Path, measured: Sequence[Measured], title: str) -> None:
    """Draw speed over the first model at each point, and what the arithmetic allows.

    Args:
        path (Path): PNG to write.
        measured (Sequence[Measured]): What :func:`sweep` gave.
        title (str): Above all.
    """
    points = list(dict.fromkeys(one.point for one in measured))
    names = list(dict.fromkeys(one.entry.name for one in measured))
    panels = {'inference': lambda row: row.inference}
    if measured[0].row.training is not None:
        panels['training step'] = lambda row: row.training
    figure = Figure((max(5., 1.1 * len(points) + 2.5) * len(panels), 4.5), dpi=150,
                    layout='constrained')
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=8, wrap=True)
    for axes, (panel, timing) in zip(figure.subplots(1, len(panels), squeeze=False)[0],
                                     panels.items()):
        for number, name in enumerate(names):
            mine = [one for one in measured if one.entry.name == name]
            color = f'C{number % 10}'
            axes.plot([timing(one.row).speed_over(timing(one.first)) for one in mine], 'o-',
                      color=color, label=name)
            axes.plot([one.limit for one in mine], ':', color=color, marker='_')
        axes.set_xticks(range(len(points)), [str(point).replace(', ', '\n') for point in points],
                        fontsize=7)
        axes.set(title=f'{panel} (dotted: by multiply-adds)', ylabel=f'speed, {names[0]} = 1',
                 xlim=(-.5, len(points) - .5))
        axes.grid(alpha=.3)
        axes.legend(fontsize=7)
    with atomic_file(path) as partial:
        figure.savefig(partial, format='png')

"""The table of a comparison, the notes above it, and its files."""
import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from scipy.stats import linregress

from ..utils.files import atomic_file
from .comparison import Conditions, Result, arithmetic_speed, baselines
from .latency import Timing
from .plots import draw_sweep, draw_tradeoff
from .published import published_tables
from .tables import print_table, to_markdown, write_csv

NOTES = (
    "speed: median over the rounds of the first model's time by this one's, above 1 is faster; by "
    'arithmetic: what it would be if time went by multiply-adds; reached: speed by that',
    'GMACs: one view; true = every multiply-add once, paper = as thop counts (no functional qkv, '
    'no attention products)')
TRAINED = {'step': 'and optimizer step', 'gradients': 'without the optimizer'}


def comparison_table(results: Sequence[Result]) -> pd.DataFrame:
    """One row per point and model, cells as text; columns that would be empty are left out."""
    rows, firsts = [], baselines(results)
    for result in results:
        first, point, cost = firsts[result.point], result.point, result.complexity
        arithmetic = arithmetic_speed(result, first)
        cells = {'model': result.name, 'batch': str(point.batch_size), 'dtype': point.dtype,
                 'view': 'x'.join(map(str, result.shape[1:])),
                 'ratio': f'{point.ratio:g}' if point.ratio else '-'}
        for column, key in (('Top-1 %', 'top1'), ('Top-5 %', 'top5'), ('mean class %', 'mean1')):
            cells[column] = f'{100 * result.metrics[f"acc/{key}"]:.2f}' if result.metrics else '-'
        cells.update({'params M': f'{cost.parameters / 1e6:.3f}',
                      'GMACs true': f'{cost.true_macs / 1e9:.3f}',
                      'GMACs paper': f'{cost.paper_macs / 1e9:.3f}',
                      'clips/s': f'{point.batch_size / result.inference.median:.2f}',
                      'by arithmetic': f'{arithmetic:.3f}'})
        for kind, step in {'': 'inference', 'train ': 'training'}.items():
            if getattr(result, step):
                cells.update(_step_cells(kind, arithmetic, *(
                    getattr(r, name) for name in (step, f'{step}_memory')
                    for r in (result, first))))
        rows.append(cells)
    frame = pd.DataFrame(rows)
    return frame.loc[:, (frame != '-').any()]


def _step_cells(kind: str, arithmetic: float, timing: Timing, first: Timing, memory: int,
                first_memory: int) -> dict[str, str]:
    (low, high), speed = timing.quartiles, timing.speed_over(first)
    return {f'{kind}ms': f'{1e3 * timing.median:.2f}', f'{kind}IQR ms': f'{1e3 * (high - low):.2f}',
            f'{kind}speed': f'{speed:.3f}', f'{kind}reached': f'{speed / arithmetic:.3f}',
            f'{kind}peak MiB': f'{memory / 2**20:.1f}',
            f'{kind}memory': f'{memory / first_memory:.3f}'}


def table_notes(results: Sequence[Result], conditions: Conditions) -> list[str]:
    """Lines above the table: conditions, what the columns mean, what the accuracy is of."""
    source = 'CUDA statistics' if conditions.device.type == 'cuda' else 'profiler trace'
    lines = [
        '; '.join(f'{key} {value}' for key, value in conditions.names().items()
                  if key != 'rounds'),
        f'ms: one batch, from normalised input to scores, median of {conditions.rounds} rounds '
        f'after {conditions.warmup} not counted; in each round every model runs once, in random '
        'order; IQR: inter-quartile range', *NOTES,
        "peak: most bytes that tensors hold together in PyTorch's allocator, weights included "
        f'({source}); memory: ratio to the first model']
    if any(result.point.dtype != 'float32' for result in results):
        lines.append('bfloat16: by autocast, weights in float32')
    if conditions.train:
        lines.append(f"train: the config's data preprocessor, loss, gradients, "
                     f'{TRAINED[conditions.train]}, on random input, without hooks')
    notes: dict[str, dict[str, None]] = {}
    for result in results:
        notes.setdefault(result.note, {})[result.name] = None
    lines += [f'{note} ({", ".join(names)})' for note, names in notes.items()]
    return lines + [f'{name}: time grows as tokens^{exponent:.2f}'
                    for name, exponent in growth_exponents(results).items()]


def growth_exponents(results: Sequence[Result]) -> dict[str, float]:
    """By model, the slope of log time over log tokens; {} unless only frames or pixels differ."""
    if len({(r.point.batch_size, r.point.dtype, r.point.ratio) for r in results}) > 1:
        return {}
    pairs: dict[str, dict[float, float]] = {}
    for result in results:
        # the view's volume is proportional to the tokens
        volume = math.log(math.prod(result.shape[1:]))
        pairs.setdefault(result.name, {})[volume] = math.log(result.inference.median)
    return {name: float(linregress(*zip(*times.items())).slope) for name, times in pairs.items()
            if len(times) > 1}


def write_comparison(results: Sequence[Result], conditions: Conditions, stem: Path,
                     command: str, published: bool, console: Console) -> None:
    """Print the tables, and write csv, markdown and picture.

    Args:
        results (Sequence[Result]): What :func:`.comparison.compare` measured.
        conditions (Conditions): How.
        stem (Path): Path of the files without their endings.
        command (str): What makes the files again, for the notes.
        published (bool): Whether to add the paper's tables, as ``<stem>-table<N>.csv``.
        console (Console): Where to print.
    """
    notes = [*table_notes(results, conditions), f'command: {command}']
    tables = {'Comparison': comparison_table(results),
              **(published_tables(results, conditions) if published else {})}
    paths = [Path(f'{stem}{end}') for end in ('.csv', '-table2.csv', '-table3.csv')[:len(tables)]]
    for path, frame in zip(paths, tables.values()):
        if path == paths[0]:
            models = [(result.config, result.checkpoint or '') for result in results]
            frame = frame.join(pd.DataFrame(models, columns=['config', 'checkpoint']))
            frame = frame.assign(**conditions.names())
        write_csv(frame, path)
    markdown, picture = Path(f'{stem}.md'), Path(f'{stem}.png')
    with atomic_file(markdown) as partial:
        partial.write_text('\n'.join([*(f'- {line}' for line in notes), '', *(
            f'**{title}**\n\n{to_markdown(frame)}\n' for title, frame in tables.items())]),
            encoding='utf-8')
    draw = draw_sweep if len(baselines(results)) > 1 else draw_tradeoff
    draw(picture, results, notes[0])
    console.print('\n'.join(notes), highlight=False, markup=False, soft_wrap=True)
    for title, frame in tables.items():
        print_table(frame, title, console)
    console.print('written: ' + ', '.join(map(str, [*paths, markdown, picture])), highlight=False,
                  soft_wrap=True)

"""The table of a comparison, the notes above it, and its files."""
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from scipy.stats import linregress

from ..utils.files import write_text
from .comparison import DTYPES, Conditions, Point, Result, arithmetic_speed, baselines
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
        for prefix, step in {'': 'inference', 'train ': 'training'}.items():
            timing = getattr(result, step)
            if timing is None:
                continue
            (low, high), speed = timing.quartiles, timing.speed_over(getattr(first, step))
            memory = getattr(result, f'{step}_memory')
            cells.update({
                f'{prefix}ms': f'{1e3 * timing.median:.2f}',
                f'{prefix}IQR ms': f'{1e3 * (high - low):.2f}',
                f'{prefix}speed': f'{speed:.3f}', f'{prefix}reached': f'{speed / arithmetic:.3f}',
                f'{prefix}peak MiB': f'{memory / 2**20:.1f}',
                f'{prefix}memory': f'{memory / getattr(first, f"{step}_memory"):.3f}'})
        rows.append(cells)
    frame = pd.DataFrame(rows)
    return frame.loc[:, (frame != '-').any()]


def table_notes(results: Sequence[Result], conditions: Conditions) -> list[str]:
    """Lines above the table: conditions, what the columns mean, what the accuracy is of."""
    source = 'CUDA statistics' if conditions.device.type == 'cuda' else 'profiler trace'
    lines = [
        '; '.join(f'{key} {value}' for key, value in conditions.names().items() if key != 'rounds'),
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


def _file_stem(start: Path, points: Iterable[Point], conditions: Conditions) -> str:
    dtypes = dict.fromkeys(DTYPES[point.dtype] for point in points)
    return f'{start}-{"+".join(dtypes)}-{conditions.machine()}'


def write_breakdown(blocks: pd.DataFrame, point: Point, conditions: Conditions, start: Path,
                    console: Console) -> None:
    """Print what :func:`break_down_models` found, and write ``<start>-<conditions>-blocks.csv``."""
    path = Path(f'{_file_stem(start, [point], conditions)}-blocks.csv')
    write_csv(blocks.assign(**conditions.names()), path)
    print_table(blocks, f'Milliseconds by block, {point}', console)
    console.print(f'written: {path}', highlight=False, soft_wrap=True)


def write_comparison(results: Sequence[Result], conditions: Conditions, start: Path, command: str,
                     published: bool, console: Console) -> None:
    """Print the tables, and write ``<start>-<conditions>.csv``, ``.md`` and ``.png``.

    ``command`` makes the files again and stands in the notes; ``published`` adds the paper's
    tables, also as ``-table<N>.csv``.
    """
    stem = _file_stem(start, (result.point for result in results), conditions)
    notes = [*table_notes(results, conditions), f'command: {command}']
    tables = {'Comparison': comparison_table(results),
              **(published_tables(results, conditions) if published else {})}
    paths = [Path(f'{stem}{end}') for end in ('.csv', '-table2.csv', '-table3.csv')[:len(tables)]]
    first, *others = tables.values()
    write_csv(first.assign(config=[result.config for result in results],
                           checkpoint=[result.checkpoint or '' for result in results],
                           **conditions.names()), paths[0])
    for path, frame in zip(paths[1:], others):
        write_csv(frame, path)
    markdown, picture = Path(f'{stem}.md'), Path(f'{stem}.png')
    write_text(markdown, '\n'.join([*(f'- {line}' for line in notes), '', *(
        f'**{title}**\n\n{to_markdown(frame)}\n' for title, frame in tables.items())]))
    draw = draw_sweep if len(baselines(results)) > 1 else draw_tradeoff
    draw(picture, results, notes[0])
    console.print('\n'.join(notes), highlight=False, markup=False, soft_wrap=True)
    for title, frame in tables.items():
        print_table(frame, title, console)
    console.print('written: ' + ', '.join(map(str, [*paths, markdown, picture])), highlight=False,
                  soft_wrap=True)

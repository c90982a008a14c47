"""Tables of a comparison, the notes above them, and the paper's tables beside ours."""
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
from .published import ACCURACIES, COSTS, marked
from .tables import print_table, to_markdown, write_csv

NOTHING = '-'


def comparison_table(results: Sequence[Result]) -> pd.DataFrame:
    """One row per point and model.

    Args:
        results (Sequence[Result]): What :func:`compare` measured.

    Returns:
        pd.DataFrame: Cells as text; columns that would be empty are left out.
    """
    rows, firsts = [], baselines(results)
    for result in results:
        first, point, cost = firsts[result.point], result.point, result.complexity
        arithmetic = arithmetic_speed(result, first)
        cells = {'model': result.entry.name, 'batch': str(point.batch_size), 'dtype': point.dtype,
                 'view': 'x'.join(map(str, result.entry.shape[1:])),
                 'ratio': f'{point.ratio:g}' if point.ratio else NOTHING}
        for column, key in (('Top-1 %', 'top1'), ('Top-5 %', 'top5'), ('mean class %', 'mean1')):
            cells[column] = percent(result.entry.metrics, key)
        cells.update({'params M': f'{cost.parameters / 1e6:.3f}',
                      'GMACs true': f'{cost.true_macs / 1e9:.3f}',
                      'GMACs paper': f'{cost.paper_macs / 1e9:.3f}',
                      'clips/s': f'{point.batch_size / result.inference.median:.2f}',
                      'by arithmetic': f'{arithmetic:.3f}'})
        cells.update(_step_cells('', result.inference, first.inference, arithmetic,
                                 result.inference_memory, first.inference_memory))
        if result.training and first.training:
            cells.update(_step_cells('train ', result.training, first.training, arithmetic,
                                     result.training_memory or 0, first.training_memory or 0))
        rows.append(cells)
    frame = pd.DataFrame(rows)
    return frame.loc[:, (frame != NOTHING).any()]


def _step_cells(kind: str, timing: Timing, first: Timing, arithmetic: float, memory: int,
                first_memory: int) -> dict[str, str]:
    low, high = timing.quartiles
    speed = timing.speed_over(first)
    return {f'{kind}ms': f'{1e3 * timing.median:.2f}', f'{kind}IQR ms': f'{1e3 * (high - low):.2f}',
            f'{kind}speed': f'{speed:.3f}', f'{kind}reached': f'{speed / arithmetic:.3f}',
            f'{kind}peak MiB': f'{memory / 2**20:.1f}',
            f'{kind}memory': f'{memory / first_memory:.3f}'}


def table_notes(results: Sequence[Result], conditions: Conditions) -> list[str]:
    """Lines above the table: the conditions, what each column means, what accuracy is of."""
    names = conditions.names()
    on_gpu = conditions.device.type == 'cuda'
    lines = [
        '; '.join(f'{key} {value}' for key, value in names.items() if key != 'rounds'),
        f'ms: one batch, from normalised input to scores, median of {conditions.rounds} rounds '
        f'after {conditions.warmup} not counted; in each round every model runs once, in random '
        'order; IQR: inter-quartile range',
        'bfloat16: by autocast, weights in float32',
        "speed: median over the rounds of the first model's time by this one's, above 1 is faster; "
        'by arithmetic: what it would be if time went by multiply-adds; reached: speed by that',
        'GMACs: one view; true = every multiply-add once, paper = as thop counts (no functional '
        'qkv, no attention products)',
        "peak: most bytes that tensors hold together in PyTorch's allocator, weights included "
        f'({"CUDA statistics" if on_gpu else "profiler trace"}); memory: ratio to the first model']
    if all(result.point.dtype == 'float32' for result in results):
        lines.pop(2)
    if conditions.train:
        update = 'and optimizer step' if conditions.train == 'step' else 'without the optimizer'
        lines.append(f"train: the config's data preprocessor, loss, gradients, {update}, on random "
                     'input, without hooks')
    notes: dict[str, dict[str, None]] = {}
    for result in results:
        notes.setdefault(result.entry.note, {})[result.entry.name] = None
    lines += [f'{note} ({", ".join(names)})' for note, names in notes.items()]
    lines += [f'{name}: time grows as tokens^{exponent:.2f}'
              for name, exponent in growth_exponents(results).items()]
    return lines


def growth_exponents(results: Sequence[Result]) -> dict[str, float]:
    """How time grows with tokens: the slope of log time over log tokens, by model.

    Returns:
        dict[str, float]: By least squares; {} unless the points differ in frames or pixels alone.
    """
    if len({(r.point.batch_size, r.point.dtype, r.point.ratio) for r in results}) > 1:
        return {}
    values: dict[str, list[tuple[float, float]]] = {}
    for result in results:
        # the view's volume is proportional to the tokens
        values.setdefault(result.entry.name, []).append(
            (math.log(math.prod(result.entry.shape[1:])), math.log(result.inference.median)))
    return {name: float(linregress(*zip(*pairs)).slope) for name, pairs in values.items()
            if len({volume for volume, _ in pairs}) > 1}


def published_tables(results: Sequence[Result], conditions: Conditions) -> dict[str, pd.DataFrame]:
    """The paper's Tables 2 and 3, with our figures in columns of their own.

    Returns:
        dict[str, pd.DataFrame]: By title. Ours are those of the first point, matched by the
        config's name; every published figure says so in its cell.
    """
    ours = {Path(result.entry.config).stem: result for result in reversed(results)
            if result.point == results[0].point}
    accuracy, cost = [], []
    for known in ACCURACIES:
        own = ours.get(known.config) if known.config else None
        accuracy.append({'system': known.system, 'modality': known.modality,
                         'published Top-1 %': marked(known.top1),
                         'our Top-1 %': percent(own.entry.metrics if own else None, 'top1'),
                         'source of the published': known.source})
    for published in COSTS:
        cells = [NOTHING] * 3
        if result := ours.get(published.config):
            cells = [f'{result.complexity.paper_macs / 1e9:.3f}',
                     f'{result.complexity.true_macs / 1e9:.3f}',
                     f'{1e3 * result.inference.median:.2f}']
        cost.append({'system': published.system, 'published GMACs': marked(published.gmacs),
                     'our GMACs paper': cells[0], 'our GMACs true': cells[1],
                     'published latency ms': marked(published.latency),
                     'our latency ms': cells[2], 'source of the published': published.source})
    return {'Table 2 of the GAIE paper, and figures from elsewhere: Top-1 on the test part of '
            'iMiGUE. Ours: on the clips named above': pd.DataFrame(accuracy),
            'Table 3 of the GAIE paper: one view, latency on an RTX 4090. Ours: on '
            f'{conditions.names()["device"]}, {results[0].point}': pd.DataFrame(cost)}


def write_comparison(results: Sequence[Result], conditions: Conditions, stem: Path,
                     command: str, published: bool, console: Console) -> None:
    """Print the tables, and write csv, markdown and picture as ``<stem>.*``.

    Args:
        results (Sequence[Result]): What :func:`.comparison.compare` measured.
        conditions (Conditions): How.
        stem (Path): Path of the files without their ending.
        command (str): What makes the files again, for the notes.
        published (bool): Whether to give the paper's tables too, as ``<stem>-table<N>.csv``.
        console (Console): Where to print.
    """
    notes = [*table_notes(results, conditions), f'command: {command}']
    tables = {'Comparison': comparison_table(results)}
    details = pd.DataFrame([dict(config=result.entry.config,
                                 checkpoint=result.entry.checkpoint or '') for result in results])
    paths = [stem.with_name(f'{stem.name}{end}') for end in ('.csv', '.md', '.png')]
    write_csv(tables['Comparison'].join(details).assign(**conditions.names()), paths[0])
    if published:
        for number, (title, frame) in enumerate(published_tables(results, conditions).items(), 2):
            tables[title] = frame
            paths.append(stem.with_name(f'{stem.name}-table{number}.csv'))
            write_csv(frame, paths[-1])
    with atomic_file(paths[1]) as partial:
        partial.write_text('\n'.join([*(f'- {line}' for line in notes), '', *(
            f'**{title}**\n\n{to_markdown(frame)}\n' for title, frame in tables.items())]),
            encoding='utf-8')
    draw = draw_sweep if len(baselines(results)) > 1 else draw_tradeoff
    draw(paths[2], results, notes[0])
    console.print('\n'.join(notes), highlight=False, markup=False, soft_wrap=True)
    for title, frame in tables.items():
        print_table(frame, title, console)
    console.print('written: ' + ', '.join(map(str, paths)), highlight=False, soft_wrap=True)


def percent(metrics: dict[str, float] | None, key: str) -> str:
    """str: ``acc/<key>`` in percent, or ``-`` if it was not measured."""
    return NOTHING if metrics is None else f'{100 * metrics[f"acc/{key}"]:.2f}'

"""Tables and pictures of a study, from the rows of its csv files."""
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from ..utils.files import atomic_file, write_text
from .study import FINETUNED, FULL, START

OURS, CONFIDENCE = 'GAIE', .95
HEADING = 'keep ratio'
TITLES = {FINETUNED: 'finetuned', START: 'put in'}


def scores_of(rows: pd.DataFrame, budget: str, arm: str, training: str) -> pd.Series:
    """Top-1 in % by (seed, fold); seeds that lack one of the study's folds are left out."""
    own = rows[(rows.budget == budget) & (rows.arm == arm) & (rows.training == training)]
    scores = 100 * own.set_index(['seed', 'fold']).top1.sort_index()
    return scores[scores.groupby('seed').transform('size') == rows.fold.nunique()]


def by_unit(scores: pd.Series) -> pd.Series:
    """What an interval is over: the folds, each the mean of its seeds, or the seeds of one fold.

    Runs of one fold share its test clips, so they are not independent draws.
    """
    return scores.groupby('fold' if scores.index.unique('fold').size > 1 else 'seed').mean()


def mean_interval(values: pd.Series) -> tuple[float, float]:
    """Mean and half of its 95 % interval by Student's t; the half is nan for a single value."""
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * values.sem()
    return float(values.mean()), float(half)


def paired_difference(arm: pd.Series, other: pd.Series) -> tuple[float, float] | None:
    """Mean and half interval of an arm minus another, run by run; None without common runs."""
    differences = (arm - other).dropna()
    return mean_interval(by_unit(differences)) if len(differences) else None


def make_table(rows: pd.DataFrame, budgets: dict[str, Iterable[str]], heading: str = HEADING,
               ours: str = OURS) -> list[str]:
    """Markdown lines: a row per arm, a column per budget with and without finetuning.

    A cell is the mean Top-1 and, in brackets, what the arm is above ``ours``, paired, with its
    95 % interval. The arms are in the order of their means over the columns. ``heading`` says what
    the budgets are.
    """
    columns = [column for column in product(budgets, TITLES) if column[0] != FULL[0]
               and ((rows.budget == column[0]) & (rows.training == column[1])).any()]
    reference = {training: scores_of(rows, *FULL, training) for training in TITLES}
    table = {}
    for arm in dict.fromkeys(arm for budget, arms in budgets.items() for arm in arms):
        if (FULL[0], arm) == FULL and FULL[0] in budgets:
            found = {column: reference[column[1]] for column in columns}
        else:
            found = {(budget, training): scores_of(rows, budget, arm, training)
                     for budget, training in columns}
        if any(map(len, found.values())):
            table[arm] = found
    # an arm that lacks a column stands where its others put it among the arms that have them
    means = pd.DataFrame({arm: {column: scores.mean() for column, scores in found.items()}
                          for arm, found in table.items()}).T
    order = means.sub(means.mean()).mean(axis=1).sort_values(ascending=False, kind='stable').index
    names = [f'{heading} {budget}, {TITLES[training]}' for budget, training in columns]
    lines = [f'| arm | {" | ".join(names)} | seeds |', f'|---|{"---|" * len(columns)}--:|']
    for arm in order:
        cells = [_cell(found, None if arm == ours else table.get(ours, {}).get(column))
                 for column, found in table[arm].items()]
        seeds = [found.index.unique('seed').size for found in table[arm].values() if len(found)]
        lines.append(f'| {f"**{arm}**" if arm == ours else arm} | {" | ".join(cells)} | '
                     f'{" to ".join(map(str, sorted({min(seeds), max(seeds)})))} |')
    return lines


def _cell(scores: pd.Series, ours: pd.Series | None) -> str:
    if not len(scores):
        return ''
    difference = None if ours is None else paired_difference(scores, ours)
    return f'{by_unit(scores).mean():.1f}' + (
        f' ({with_interval(difference)})' if difference else '')


def with_interval(found: tuple[float, float]) -> str:
    """``+1.2 ± 0.8``, or the mean alone where there is no interval."""
    mean, half = found
    return f'{mean:+.1f}' if np.isnan(half) else f'{mean:+.1f} ± {half:.1f}'


def draw(rows: pd.DataFrame, budgets: dict[str, Any], path: Path, heading: str = HEADING,
         ours: str = OURS) -> None:
    """Draw what each arm is above ``ours``, paired: a panel with finetuning and one without."""
    trainings = [training for training in TITLES if training in set(rows.training)]
    reduced = {budget: arms for budget, arms in budgets.items() if budget != FULL[0]}
    names = list(dict.fromkeys(arm for arms in reduced.values() for arm in arms))[::-1]
    figure = Figure((5.5 * len(trainings), 1.4 + .3 * len(names)), layout='constrained')
    panels = figure.subplots(1, len(trainings), squeeze=False, sharey=True)[0]
    for panel, training in zip(panels, trainings):
        for number, budget in enumerate(reduced):
            shift = .5 * ((len(reduced) - 1) / 2 - number) / len(reduced)
            _draw_differences(panel, rows, budget, training, names, shift, f'C{number}', ours)
            panel.plot([], [], 'o', color=f'C{number}', label=f'{heading} {budget}')
        panel.axvline(0, color='0.5', linewidth=1)
        panel.set(title=f'{TITLES[training]}:\nTop-1 above {ours}', xlabel='points, 95 % interval')
        panel.set_yticks(range(len(names)), names)
        panel.set_ylim(-.6, len(names) - .4)
        panel.grid(axis='x', alpha=.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc='outside lower center', ncols=2,
                  fontsize='small')
    save_figure(figure, path)


def _draw_differences(panel: Axes, rows: pd.DataFrame, budget: str, training: str,
                      names: list[str], shift: float, color: str, ours: str) -> None:
    reference = scores_of(rows, budget, ours, training)
    for place, arm in enumerate(names):
        found = paired_difference(scores_of(rows, budget, arm, training), reference)
        if found and arm != ours:
            panel.errorbar(found[0], place + shift, xerr=np.nan_to_num(found[1]), fmt='o',
                           capsize=3, markersize=5, color=color)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG, whole or not at all."""
    with atomic_file(path) as partial:
        figure.savefig(partial, dpi=110, format='png')


def write_report(name: str, study: dict[str, Any], rows: pd.DataFrame, document: Path) -> None:
    """Write a study's tables into an existing markdown file, and its picture beside the csv.

    The tables stand between ``<!-- begin name -->`` and ``<!-- end name -->``; where these are
    missing, they are added with a heading. ``study`` is the config's: ``heading`` says what its
    budgets are if they are no keep ratios; all arms are compared with the ``reference`` arm, GAIE
    by default, and in a table of its own with each arm in ``beside``.
    """
    budgets, heading = study['budgets'], study.get('heading', HEADING)
    reference = study.get('reference', OURS)
    put_table(document, name, make_table(rows, budgets, heading, reference))
    for arm in study.get('beside', ()):
        put_table(document, f'{name} beside {arm}', make_table(rows, budgets, heading, arm))
    draw(rows, budgets, document.parent / 'study' / f'{name}.png', heading, reference)


def put_table(document: Path, mark: str, lines: list[str]) -> None:
    """Replace what stands between the marks of a document's table, or add both with a heading."""
    text = document.read_text(encoding='utf-8')
    begin, end = f'<!-- begin {mark} -->\n', f'<!-- end {mark} -->'
    if begin not in text or end not in text:
        text = f'{text.rstrip()}\n\n## {mark.capitalize()}\n\n{begin}{end}\n'
    head, rest = text.split(begin)
    text = head + begin + '\n'.join(lines) + '\n' + end + rest.split(end)[1]
    write_text(document, text)


def print_choice(rows: list[dict[str, Any]]) -> None:
    """Print what :func:`.study.choose_fold` found, and the mean over all clips."""
    frame = pd.DataFrame(rows).pivot(index='fold', columns='training', values=['top1', 'clips'])
    together = (frame.top1 * frame.clips).sum() / frame.clips.sum()
    for name, top1 in [*((f'fold {k}', v) for k, v in frame.top1.iterrows()),
                       ('together', together)]:
        print(f'{name}: start {top1[START]:.1%}, finetuned {top1[FINETUNED]:.1%}')

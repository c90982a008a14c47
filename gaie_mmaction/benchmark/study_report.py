"""Tables and picture of a study, from the rows of its csv."""
from collections.abc import Sequence
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
HEADING = 'cost of GAIE with keep ratio'
TITLES = {FINETUNED: 'finetuned with the reducer', START: 'reducer put in without finetuning'}


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


def paired_difference(ours: pd.Series, other: pd.Series) -> tuple[float, float] | None:
    """Mean and half interval of ours minus the other, run by run; None without common runs."""
    differences = (ours - other).dropna()
    return mean_interval(by_unit(differences)) if len(differences) else None


def make_table(rows: pd.DataFrame, budgets: dict[str, Any], training: str,
               unseen: Sequence[int] = (), heading: str = HEADING, ours: str = OURS) -> list[str]:
    """Markdown lines: arms by budget, each budget's arms from the best to the worst.

    With ``unseen`` folds there is a column of the mean over these alone; ``heading`` says what the
    budgets are, ``ours`` is the arm that all others are compared with.
    """
    names = [heading, 'arm', 'GMACs', 'Top-1 %, mean and 95 % interval',
             f'{ours} minus this one, paired',
             *([f'Top-1 %, folds {" and ".join(map(str, unseen))} alone'] if unseen else []),
             'seeds']
    lines = [f'| {" | ".join(names)} |', f'|--:|---|{"--:|" * (len(names) - 2)}']
    for budget, arms in budgets.items():
        found = {arm: scores_of(rows, budget, arm, training) for arm in arms}
        found = {arm: scores for arm, scores in found.items() if len(scores)}
        for arm, scores in sorted(found.items(), key=lambda item: -by_unit(item[1]).mean()):
            costs = rows[(rows.budget == budget) & (rows.arm == arm)
                         & (rows.training == training)].gmacs
            cells = [budget, f'**{arm}**' if arm == ours else arm,
                     ' to '.join(dict.fromkeys(f'{c:.4f}' for c in (costs.min(), costs.max()))),
                     with_interval(mean_interval(by_unit(scores))),
                     '' if arm == ours or ours not in found else with_interval(
                         paired_difference(found[ours], scores), '+')]
            if unseen:
                alone = scores[scores.index.isin(unseen, level='fold')]
                cells.append(f'{by_unit(alone).mean():.1f}')
            lines.append(f'| {" | ".join(cells)} | {scores.index.unique("seed").size} |')
    return lines


def with_interval(found: tuple[float, float] | None, sign: str = '') -> str:
    """``61.2 ± 0.8``; the mean alone where there is no interval; nothing for None."""
    if found is None:
        return ''
    mean, half = found
    return f'{mean:{sign}.1f}' if np.isnan(half) else f'{mean:{sign}.1f} ± {half:.1f}'


def draw(rows: pd.DataFrame, budgets: dict[str, Any], path: Path, heading: str = HEADING) -> None:
    """Draw all means with their intervals, one panel with finetuning and one without."""
    trainings = [training for training in TITLES if training in set(rows.training)]
    figure = Figure((5.5 * len(trainings), 4.6), layout='constrained')
    panels = figure.subplots(1, len(trainings), squeeze=False, sharex=True, sharey=True)[0]
    for panel, training in zip(panels, trainings):
        _draw_panel(panel, rows, budgets, training, heading)
        panel.set(title=TITLES[training], xlabel='Top-1 and its 95 % interval, %')
    legend = {label: handle for panel in panels
              for handle, label in zip(*panel.get_legend_handles_labels())}
    figure.legend(legend.values(), legend.keys(), fontsize='small', loc='outside lower center',
                  ncols=len(legend))
    with atomic_file(path) as partial:
        figure.savefig(partial, dpi=110, format='png')


def _draw_panel(panel: Axes, rows: pd.DataFrame, budgets: dict[str, Any], training: str,
                heading: str) -> None:
    reduced = [budget for budget in budgets if budget != FULL[0]]
    names = list(dict.fromkeys(arm for budget in reduced for arm in budgets[budget]))[::-1]
    for number, (shift, budget) in enumerate(zip((.14, -.14, 0), reduced)):
        panel.plot([], [], 'o', color=f'C{number}', label=f'{heading} {budget}')
        for place, arm in enumerate(names):
            found = by_unit(scores_of(rows, budget, arm, training))
            if len(found):
                mean, half = mean_interval(found)
                panel.errorbar(mean, place + shift, xerr=np.nan_to_num(half), fmt='o', capsize=3,
                               markersize=5, color=f'C{number}')
    full = by_unit(scores_of(rows, *FULL, training))
    if len(full):
        mean, half = mean_interval(full)
        panel.axvspan(mean - half, mean + half, color='0.9', label='plain ViT, full cost')
        panel.axvline(mean, color='0.5', linewidth=1)
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(-.6, len(names) - .4)
    panel.grid(axis='x', alpha=.3)


def write_report(name: str, study: dict[str, Any], rows: pd.DataFrame, document: Path) -> None:
    """Write a study's tables into an existing markdown file, and its picture beside the csv.

    The tables stand between ``<!-- begin name -->`` and ``<!-- end name -->``; where these are
    missing, they are added with a heading. ``study`` is the config's: ``heading`` says what its
    budgets are if they are no costs; if the recipe was chosen on some folds, ``chosen_on``, the
    others are reported alone, too.
    """
    seen, budgets, heading = study.get('chosen_on'), study['budgets'], study.get('heading', HEADING)
    unseen = sorted(set(rows.fold) - set(seen)) if seen else ()
    for training, mark in ((FINETUNED, name), (START, f'{name} without finetuning')):
        if (rows.training == training).any():
            put_table(document, mark, make_table(rows, budgets, training, unseen, heading))
    draw(rows, budgets, document.parent / 'study' / f'{name}.png', heading)


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

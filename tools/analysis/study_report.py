"""Tables and picture of a study, from the rows of its csv."""
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from scipy import stats

from gaie_mmaction.utils.files import atomic_file

matplotlib.use('Agg')
import matplotlib.pyplot as plt  # noqa: E402

START, FINETUNED, FULL, OURS = 'start', 'finetuned', 'full', 'GAIE'
CONFIDENCE = .95
Row = dict[str, Any]
Scores = dict[tuple[int, int], float]  # (seed, fold) -> Top-1 in %


def scores_of(rows: list[Row], budget: str, arm: str, training: str) -> Scores:
    """Top-1 of each run in %; a seed that lacks folds which the study has is left out."""
    found = {(row['seed'], row['fold']): 100 * row['top1'] for row in rows
             if (row['budget'], row['arm'], row['training']) == (budget, arm, training)}
    folds = {row['fold'] for row in rows}
    return {(seed, fold): top1 for (seed, fold), top1 in sorted(found.items())
            if all((seed, other) in found for other in folds)}


def by_unit(scores: Scores) -> list[float]:
    """What an interval is over: the folds, each the mean of its seeds, or the seeds of one fold.

    Runs of one fold share its test clips and are no independent draws of them.
    """
    unit = 1 if len({fold for _, fold in scores}) > 1 else 0
    parts: dict[int, list[float]] = defaultdict(list)
    for run, top1 in scores.items():
        parts[run[unit]].append(top1)
    return [float(np.mean(part)) for part in parts.values()]


def mean_interval(values: list[float]) -> tuple[float, float]:
    """Mean and half of its 95 % interval by Student's t; the half is nan for a single value."""
    if len(values) < 2:
        return float(np.mean(values)), float('nan')
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * stats.sem(values)
    return float(np.mean(values)), float(half)


def paired_difference(ours: Scores, other: Scores) -> tuple[float, float] | None:
    """Mean and half interval of ours minus the other, run by run; None without common runs."""
    common = sorted(set(ours) & set(other))
    differences = {run: ours[run] - other[run] for run in common}
    return mean_interval(by_unit(differences)) if common else None


def cost_of(rows: list[Row], budget: str, arm: str, training: str) -> tuple[float, float]:
    """Least and largest GMACs of an arm's runs."""
    costs = [row['gmacs'] for row in rows
             if (row['budget'], row['arm'], row['training']) == (budget, arm, training)]
    return min(costs), max(costs)


def make_table(rows: list[Row], budgets: dict[str, list[str]], training: str,
               unseen: Sequence[int] = ()) -> list[str]:
    """Markdown lines: arms by budget, each budget's arms from the best to the worst.

    With ``unseen`` folds there is a column of the mean over these alone.
    """
    names = ['cost of GAIE with keep ratio', 'arm', 'GMACs', 'Top-1 %, mean and 95 % interval',
             'GAIE minus this one, paired']
    if unseen:
        names.append(f'Top-1 %, folds {" and ".join(map(str, unseen))} alone')
    lines = [as_row([*names, 'seeds']), '|--:|---|' + '--:|' * (len(names) - 1)]
    for budget, arms in budgets.items():
        scores = {arm: scores_of(rows, budget, arm, training) for arm in arms}
        scores = {arm: found for arm, found in scores.items() if found}
        for arm, found in sorted(scores.items(), key=lambda item: -np.mean(by_unit(item[1]))):
            low, high = cost_of(rows, budget, arm, training)
            cells = [
                budget, f'**{arm}**' if arm == OURS else arm,
                f'{low:.4f}' if f'{low:.4f}' == f'{high:.4f}' else f'{low:.4f} to {high:.4f}',
                with_interval(mean_interval(by_unit(found))),
                '' if arm == OURS or OURS not in scores else with_interval(
                    paired_difference(scores[OURS], found), '+')]
            if unseen:
                alone = {run: top1 for run, top1 in found.items() if run[1] in unseen}
                cells.append(f'{np.mean(by_unit(alone)):.1f}')
            lines.append(as_row([*cells, str(len({seed for seed, _ in found}))]))
    return lines


def as_row(cells: list[str]) -> str:
    return f'| {" | ".join(cells)} |'


def with_interval(found: tuple[float, float] | None, sign: str = '') -> str:
    """``61.2 ± 0.8``; the mean alone where there is no interval; nothing for nothing."""
    if found is None:
        return ''
    mean, half = found
    return f'{mean:{sign}.1f}' if np.isnan(half) else f'{mean:{sign}.1f} ± {half:.1f}'


def draw(rows: list[Row], budgets: dict[str, list[str]], path: Path) -> None:
    """Picture of all means with their intervals, one panel with finetuning and one without."""
    ways = [(FINETUNED, 'finetuned with the reducer'), (START, 'reducer put in without finetuning')]
    ways = [way for way in ways if any(row['training'] == way[0] for row in rows)]
    reduced = [budget for budget in budgets if budget != FULL]
    figure, panels = plt.subplots(1, len(ways), figsize=(5.5 * len(ways), 4.6), squeeze=False,
                                  sharex=True, sharey=True, layout='constrained')
    names = list(dict.fromkeys(arm for budget in reduced for arm in budgets[budget]))[::-1]
    for panel, (way, title) in zip(panels[0], ways):
        for shift, budget in zip((.14, -.14, 0), reduced):
            for k, arm in enumerate(names):
                found = by_unit(scores_of(rows, budget, arm, way))
                if found:
                    mean, half = mean_interval(found)
                    panel.errorbar(mean, k + shift, xerr=np.nan_to_num(half), fmt='o', capsize=3,
                                   markersize=5, color=f'C{reduced.index(budget)}')
        for budget in reduced:
            panel.plot([], [], 'o', color=f'C{reduced.index(budget)}',
                       label=f'cost of GAIE, keep ratio {budget}')
        full = [value for arm in budgets.get(FULL, ())
                for value in by_unit(scores_of(rows, FULL, arm, way))]
        if full:
            mean, half = mean_interval(full)
            panel.axvspan(mean - half, mean + half, color='0.9', label='plain ViT, full cost')
            panel.axvline(mean, color='0.5', linewidth=1)
        panel.set_yticks(range(len(names)), names)
        panel.set_ylim(-.6, len(names) - .4)
        panel.set_xlabel('Top-1 and its 95 % interval, %')
        panel.set_title(title)
        panel.grid(axis='x', alpha=.3)
    legend = {label: handle for panel in panels[0]
              for handle, label in zip(*panel.get_legend_handles_labels())}
    figure.legend(legend.values(), legend.keys(), fontsize='small', loc='outside lower center',
                  ncols=len(legend))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as partial:
        figure.savefig(partial, dpi=110, format='png')
    plt.close(figure)


def replace_between(text: str, name: str, lines: list[str]) -> str:
    """Text with new lines between ``<!-- begin name -->`` and ``<!-- end name -->``.

    A text without the two marks gets them, and a heading, at its end.
    """
    begin, end = f'<!-- begin {name} -->\n', f'<!-- end {name} -->'
    if begin not in text or end not in text:
        text = f'{text.rstrip()}\n\n## {name.capitalize()}\n\n{begin}{end}\n'
    head, rest = text.split(begin)
    return head + begin + '\n'.join(lines) + '\n' + end + rest.split(end)[1]


def write_report(name: str, budgets: dict[str, list[str]], rows: list[Row],
                 document: Path, unseen: Sequence[int] = ()) -> None:
    """Write a study's tables into the document, and its picture beside the csv.

    Args:
        name (str): Of the study.
        budgets (dict): Budget -> names of its arms.
        rows (list[dict]): Of the csv.
        document (Path): The file; it must exist.
        unseen (Sequence[int]): Folds to be given alone too. Defaults to none.
    """
    text = document.read_text(encoding='utf-8')
    for training, mark in ((FINETUNED, name), (START, f'{name} without finetuning')):
        if any(row['training'] == training for row in rows):
            text = replace_between(text, mark, make_table(rows, budgets, training, unseen))
    draw(rows, budgets, document.parent / 'study' / f'{name}.png')
    with atomic_file(document) as partial:
        partial.write_text(text, encoding='utf-8')

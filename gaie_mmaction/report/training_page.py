"""The page of one or several trainings."""
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .html import write_html

LOGS = '*/vis_data/scalars.json'  # one per start, as LocalVisBackend writes them
HIGHER_IS_BETTER = re.compile(r'acc|auc|f1|map|precision|recall|top\d', re.IGNORECASE)
UNITS = dict(data_time='s', time='s', memory='MiB')

Line = dict[str, float]
Point = tuple[float, float]  # step, value


@dataclass
class Run:
    """A training from its first start to its last, with the lines of its logs."""
    name: str
    num_starts: int
    train: list[Line]
    val: list[Line]
    notes: list[str]

    @property
    def val_axis(self) -> str:
        """What ``step`` of a validation counts."""
        return 'epoch' if 'epoch' in self.train[-1] else 'iteration'


def read_runs(work_dirs: Sequence[str | Path]) -> list[Run]:
    """Read ``scalars.json`` of all starts of each training.

    ``work_dirs`` has one folder per training, also of running ones. A resumed training goes back to
    its checkpoint: what an earlier start logged from there on is replaced. A ``ValueError`` if a
    folder has no training iteration, or a line is not one of mmengine's.
    """
    names = [Path(folder).resolve().name for folder in work_dirs]
    return [_read_run(Path(folder), name if names.count(name) == 1 else str(folder))
            for folder, name in zip(work_dirs, names)]


def write_training_page(runs: Sequence[Run], path: str | Path) -> None:
    """Write one file that opens from disk: a chart of every logged number, all runs in each."""
    parts = [('Training', 'iteration', [run.train for run in runs])] + [
        ('Validation', axis, [run.val if run.val_axis == axis else [] for run in runs])
        for axis in ('epoch', 'iteration')]
    charts = [_make_chart(key, *part) for part in parts for key in _sorted_keys(part[2])]
    drawn = [{name: chart[name] for name in ('section', 'axis', 'is_loss', 'curves')}
             for chart in charts]
    write_html(Path(path), 'training', libraries=['uplot'], runs=runs, charts=charts,
               data=dict(names=[run.name for run in runs], charts=drawn))


def _read_run(folder: Path, name: str) -> Run:
    run = Run(name, 0, [], [], [])
    for path in sorted(folder.glob(LOGS)):
        lines = _read_lines(path, run.notes)
        train = [line for line in lines if 'iter' in line]
        # step 0 is `mim test` on the validation part, without a training
        val = [line for line in lines if 'iter' not in line and line['step'] > 0]
        if train:
            run.num_starts += 1
            run.train = _before(train[0]['step'], run.train) + train
            # epoch N is validated as step N, after its iterations
            run.val = _before(train[0].get('epoch', train[0]['step']), run.val)
        if val:
            run.val = _before(val[0]['step'], run.val) + val
    if not run.train:
        raise ValueError(f'{folder} has no training iteration in {LOGS}: give the work folder of '
                         'a training whose visualizer has LocalVisBackend, once it has logged')
    return run


def _before(step: float, lines: list[Line]) -> list[Line]:
    return [line for line in lines if line['step'] < step]


def _read_lines(path: Path, notes: list[str]) -> list[Line]:
    texts, lines = path.read_text(encoding='utf-8', errors='replace').split('\n'), []
    for number, text in enumerate(texts, 1):
        if not text:
            continue
        try:
            line = json.loads(text)
            step = int(line['step'])
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            if number == len(texts):  # a line feed ends each whole line
                notes.append(f'{path}: the last line is incomplete and was left out. It is being '
                             'written, or the training was killed.')
                continue
            raise ValueError(f'{path}, line {number}: {text[:80]!r} is not a JSON object with a '
                             'number "step", as mmengine logs them: mend or delete it') from error
        lines.append({key: value for key, value in line.items()
                      if isinstance(value, (int, float))} | dict(step=step))
    return lines


def _sorted_keys(lines: list[list[Line]]) -> list[str]:
    keys = {key for run in lines for line in run for key in line} - {'epoch', 'iter', 'step'}
    return sorted(keys, key=lambda key: (
        'loss' not in key, 'acc' not in key, not key.endswith('lr'), key in UNITS, key))


def _make_chart(key: str, part: str, axis: str, lines: list[list[Line]]) -> dict:
    curves = [[(line['step'], line[key]) for line in run if key in line] for run in lines]
    best = min if 'loss' in key else max if HIGHER_IS_BETTER.search(key) else None
    return dict(
        title=f'{key}, {UNITS[key]}' if key in UNITS else key, axis=axis,
        section=f'{part} by {axis}', is_loss='loss' in key,
        rows=[_summarize(curve, best) for curve in curves],
        curves=[[[step for step, _ in curve], [_to_json(value) for _, value in curve]]
                for curve in curves])


def _summarize(curve: list[Point], best: Callable | None) -> dict:
    finite = [point for point in curve if math.isfinite(point[1])]
    bad = [point for point in curve if not math.isfinite(point[1])]
    return dict(last=curve[-1][1] if curve else None, num_bad=len(bad),
                bad=(bad[0][0], _to_json(bad[0][1])) if bad else None,
                best=best(finite, key=lambda point: point[1]) if best and finite else None)


def _to_json(value: float) -> float | str:
    return value if math.isfinite(value) else json.dumps(value)  # as text: JSON has no NaN

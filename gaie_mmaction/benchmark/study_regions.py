"""Whether the reducers of a study keep the tokens of the gesture, beside their accuracy."""
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from mmaction.registry import DATASETS
from mmengine.config import Config
from mmengine.runner import Runner

from ..apis.model import build_recognizer, load_weights
from ..apis.region_survival import read_regions, region_weights, survival
from ..apis.training import last_checkpoint
from ..visualization.token_map import TokenMap, record_tokens
from . import study_report
from .study import FINETUNED, FULL, ROOT, RUN, START, Row, Study, arm_config, run_config, run_jobs
from .tables import write_csv

# region, all: share of the tokens of the gesture's region, and of all, that are in their own place
# after a merge (from 1), in [0, 1], mean over clips
COLUMNS = [*RUN, 'merge', 'region', 'all']


def checkpoint_of(study: Study, budget: str, arm: str, training: str, seed: int,
                  fold: int) -> Path | None:
    """The checkpoint that a row of the study was tested with; None if it is not here."""
    if training == START:
        return study.start_checkpoint(seed, fold)
    return last_checkpoint(study.run_dir(f'{budget}-{arm}', seed, fold))


def measure_regions(study: Study, budget: str, arm: str, training: str, seed: int,
                    fold: int) -> list[Row]:
    """Share of the tokens of the moving regions that stay in place in one run of the csv."""
    base, run = Config.fromfile(study.config), (budget, arm, training, seed, fold)
    cfg = run_config(arm_config(base, budget, arm), study, seed, fold)
    model = build_recognizer(cfg)
    load_weights(model, str(checkpoint_of(study, *run)), str(study.config))
    plan = base.study.regions
    regions = read_regions(str(ROOT / 'data' / f'{base.study.dataset.name}_release/regions.csv'))
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    dataset.rows = rows = dataset.rows.iloc[::plan.every]
    loader = Runner.build_dataloader(dict(cfg.test_dataloader, dataset=dataset))
    shares: list[np.ndarray] = []
    for data in loader:
        grid = model.backbone.token_grid(data['inputs'][0])
        with torch.inference_mode(), record_tokens(model) as history:
            model.test_step(data)
        for clip in range(len(data['inputs'])):
            weights = region_weights(regions[rows.clip_id.iloc[len(shares)]], plan.view,
                                     plan.frame, grid[1:])
            kept = TokenMap.from_history(history, grid, clip).kept
            shares.append(np.array([survival(kept, weights),
                                    survival(kept, np.ones_like(weights))]))
    region, everything = np.nanmean(shares, axis=0)
    return [dict(zip(COLUMNS, (*run, merge, *map(float, values))))
            for merge, values in enumerate(zip(region.round(6), everything.round(6)), 1)]


def run_regions(study: Study, rows: pd.DataFrame, table: Path, workers: int) -> None:
    """Measure the runs of a study's rows whose checkpoints are here, and write them to a csv."""
    plan = Config.fromfile(study.config).study.get('regions')
    if plan is None:
        return
    found = pd.read_csv(table, dtype=dict(budget=str)) if table.exists() else pd.DataFrame(
        columns=COLUMNS)
    done = set(found[RUN].itertuples(index=False, name=None))
    jobs = [run for run in rows[RUN].itertuples(index=False, name=None)
            if run not in done and run[:2] != FULL and run[3] < plan.seeds
            and checkpoint_of(study, *run)]
    for row in run_jobs(measure_regions, jobs, study, workers):
        found.loc[len(found)] = row
    write_csv(found, table)


def draw_regions(rows: pd.DataFrame, regions: pd.DataFrame, budgets: dict, path: Path) -> None:
    """Draw accuracy over how much more of the region than of all tokens the last merge keeps.

    One panel per keep ratio; intervals are over seeds.
    """
    reduced = {budget: list(arms) for budget, arms in budgets.items() if budget != FULL[0]}
    names = list(dict.fromkeys(arm for arms in reduced.values() for arm in arms))
    figure = Figure((5.5 * len(reduced), 4.8), layout='constrained')
    for panel, budget in zip(figure.subplots(1, len(reduced), squeeze=False)[0], reduced):
        for training, marker in ((FINETUNED, 'o'), (START, 'x')):
            for arm in reduced[budget]:
                own = regions[(regions.budget == budget) & (regions.arm == arm)
                              & (regions.training == training)]
                top1 = study_report.by_unit(study_report.scores_of(rows, budget, arm, training))
                if not len(own) or not len(top1):
                    continue
                last = own[own['merge'] == own['merge'].max()]
                times, half = study_report.mean_interval(last.region / last['all'])
                color = f'C{names.index(arm) % 10}'
                panel.errorbar(times, top1.mean(), study_report.mean_interval(top1)[1], half,
                               marker, color=color, markersize=6, linewidth=1)
                panel.annotate(arm, (times, top1.mean()), (4, 3), textcoords='offset points',
                               fontsize=7, color=color)
            panel.plot([], [], marker, color='0.3', label=study_report.TITLES[training])
        panel.axvline(1, color='0.5', linestyle='--', label='chance')
        panel.set(title=f'{study_report.HEADING} {budget}', ylabel='Top-1, %',
                  xlabel='share of the gesture\'s tokens in place / share of all tokens')
        panel.legend(fontsize='small')
        panel.grid(alpha=.3)
    study_report.save_figure(figure, path)

"""Train and test the arms of a study alike, resumably, one row of a csv per run.

A study is a config with ``study.budgets``: budget -> arm -> what the arm changes in the config.
What ``study.start`` changes is trained first, the plain ViT or its masked pretraining; these are
the starting weights of all arms but those ``from_scratch``. ``label_share`` of an arm leaves it a
part of the training clips.
"""
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from rich.progress import track

from ..apis.model import build_recognizer, load_weights
from ..apis.training import device_environment, last_checkpoint
from ..synthetic.dataset import draw_dataset
from ..utils.files import atomic_file, write_text
from .accuracy import measure_accuracy
from .complexity import measure_complexity
from .study_clips import NEVER_TESTED, DecodedClips, lay_out_flow, read_clips

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'configs' / 'study'
FULL = ('full', 'plain ViT')  # budget and arm of the reference
START, FINETUNED = 'start', 'finetuned'
RUN = ['budget', 'arm', 'training', 'seed', 'fold']  # columns that name a run
# top1 in [0, 1]; gmacs true, per view, of the model as it was tested; torch is its version
COLUMNS = [*RUN, 'clips', 'gmacs', 'top1', 'torch']
Row = dict[str, Any]


@dataclass(frozen=True)
class Study:
    """Where the parts of a study are."""
    config: Path
    frames: Path  # see study_clips
    clips: Path
    work_dir: Path
    device: str = 'cpu'

    @property
    def folds(self) -> list[int]:
        """list[int]: The folds that are tested."""
        return sorted(set(pd.read_csv(self.clips).fold) - {NEVER_TESTED})

    def run_dir(self, name: str, seed: int, fold: int) -> Path:
        """Folder of a training; ``'start'`` is that of the starting weights."""
        return self.work_dir / f'{name}-fold{fold}-seed{seed}'.replace(' ', '_')

    def start_checkpoint(self, seed: int, fold: int) -> Path | None:
        """The starting weights; None if they are not trained."""
        return last_checkpoint(self.run_dir('start', seed, fold))


def open_study(config: Path, work_dir: Path, device: str = 'cpu', data: Path | None = None,
               workers: int = 1) -> Study:
    """Decode the clips of a study.

    Without ``data`` they are the synthetic ones of ``study.dataset``, drawn if they are missing;
    with ``study.flow`` they are the optical flow of the footage in ``data``.
    """
    cfg = Config.fromfile(config)
    if data is None:
        data = ROOT / 'data' / cfg.study.dataset.name
        draw_dataset(data, **{k: v for k, v in cfg.study.dataset.items() if k != 'name'})
    elif cfg.study.get('flow'):
        data = lay_out_flow(data, work_dir / 'flow', workers)
    clips = read_clips(cfg, data, work_dir)
    return Study(config, clips.with_suffix('.npy'), clips, work_dir, device)


def arms_put_in(cfg: Config) -> list[tuple[str, str]]:
    """(budget, arm) of the arms that need no finetuning: no hook changes them in training."""
    if _is_pretraining(cfg):
        return []
    return [(budget, arm) for budget, arms in cfg.study.budgets.items()
            for arm, changes in arms.items()
            if (budget, arm) != FULL and 'custom_hooks' not in changes]


def _is_pretraining(cfg: Config) -> bool:
    """Whether the starting weights have no head that could be tested."""
    return cfg.study.start.get('model', {}).get('type') == 'MaskedVideoModel'


def arm_config(cfg: Config, budget: str, arm: str) -> Config:
    """The study's config with an arm's changes."""
    own = Config(cfg.to_dict())
    own.merge_from_dict(own.study.budgets[budget][arm])
    return own


def run_config(cfg: Config, study: Study, seed: int, fold: int,
               load_from: Path | None = None) -> Config:
    """A whole config for MMAction2's scripts, on the clips of one fold."""
    own = Config({key: value for key, value in cfg.to_dict().items() if key != 'study'})
    share, from_scratch = own.pop('label_share', 1.), own.pop('from_scratch', False)
    for part in ('train', 'test'):
        own[f'{part}_dataloader'].dataset = dict(
            type='DecodedClips', frames=str(study.frames), clips=str(study.clips), fold=fold,
            part=part, pipeline=own[f'{part}_pipeline'])
    if share != 1:
        own.train_dataloader.dataset.update(share=share, seed=seed)
    own.val_dataloader = own.val_cfg = own.val_evaluator = None
    own.test_evaluator = dict(type='AccMetric')
    own.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=cfg.train_cfg.max_epochs)
    # a run that was stopped begins again, so that it draws the same augmentation
    own.default_hooks.checkpoint.update(interval=cfg.train_cfg.max_epochs, save_optimizer=False)
    own.default_hooks.pop('preemption')  # its checkpoint would pass for that of a whole run
    own.custom_imports.imports = [*own.custom_imports.imports, DecodedClips.__module__]
    own.randomness = dict(seed=seed)
    own.load_from = None if from_scratch or load_from is None else str(load_from)
    return own


def train_run(study: Study, cfg: Config, run_dir: Path) -> Path:
    """Train a run, unless it is trained already; returns its checkpoint."""
    path, text = run_dir / 'run.py', cfg.pretty_text
    if path.exists() and path.read_text(encoding='utf-8') != text:
        raise ValueError(f'{run_dir} was trained with another state of {study.config}: move the '
                         'folder away')
    write_text(path, text)
    # only a run that has ended leaves a checkpoint
    if last_checkpoint(run_dir) is None:
        # in this process, as a new one would start for longer than it trains. mmengine shares
        # loggers between runners of one name, which else is the second they start in
        cfg = Config(dict(cfg.to_dict(), work_dir=str(run_dir), log_level='WARNING',
                          experiment_name=os.urandom(8).hex()))
        Runner.from_cfg(cfg).train()
    checkpoint = last_checkpoint(run_dir)
    assert checkpoint is not None
    return checkpoint


def test_run(study: Study, cfg: Config, checkpoint: Path,
             run: tuple[str, str, str, int, int]) -> Row:
    """Test a checkpoint; returns the row of the csv."""
    metrics = measure_accuracy(cfg, str(checkpoint), str(checkpoint.parent / 'test'), 'AccMetric')
    assert metrics is not None  # all clips are labelled
    model = build_recognizer(cfg)
    load_weights(model, str(checkpoint), str(study.config))  # of DiffRate, with learned counts
    sizes = cfg.model.backbone
    cost = measure_complexity(model, (3, sizes.num_frames, sizes.img_size, sizes.img_size))
    num_clips = int((pd.read_csv(study.clips).fold == run[-1]).sum())
    return dict(zip(COLUMNS, (*run, num_clips, round(cost.true_macs / 1e9, 6),
                              round(float(metrics['acc/top1']), 6))))


test_run.__test__ = False  # type: ignore[attr-defined]  # not pytest's


def train_start(study: Study, seed: int, fold: int, arms: list[tuple[str, str]]) -> list[Row]:
    """Train the starting weights; test them as the plain ViT and with reducers put in.

    ``arms`` are (budget, arm); none of a pretraining, which has no head.
    """
    base = Config.fromfile(study.config)
    start = Config(base.to_dict())
    start.merge_from_dict(base.study.start)
    checkpoint = train_run(study, run_config(start, study, seed, fold),
                           study.run_dir('start', seed, fold))
    return [test_run(study, run_config(arm_config(base, *arm), study, seed, fold), checkpoint,
                     (*arm, START, seed, fold)) for arm in arms]


def finetune(study: Study, budget: str, arm: str, seed: int, fold: int) -> list[Row]:
    """Finetune one arm from the starting weights of its seed and fold, and test it."""
    cfg = run_config(arm_config(Config.fromfile(study.config), budget, arm), study, seed, fold,
                     study.start_checkpoint(seed, fold))
    checkpoint = train_run(study, cfg, study.run_dir(f'{budget}-{arm}', seed, fold))
    return [test_run(study, cfg, checkpoint, (budget, arm, FINETUNED, seed, fold))]


def choose_fold(study: Study, fold: int) -> list[Row]:
    """The plain ViT on a fold of ``chosen_on``, trained on the others of them; nothing is kept.

    No clip of another fold is read. Seed 0, as starting weights and finetuned.
    """
    rows = pd.read_csv(study.clips)
    with TemporaryDirectory() as folder:
        own = replace(study, clips=Path(folder, 'clips.csv'), work_dir=Path(folder))
        rows[rows.fold.isin(Config.fromfile(study.config).study.chosen_on)].to_csv(
            own.clips, index=False)
        return [*train_start(own, 0, fold, [FULL]), *finetune(own, *FULL, 0, fold)]


def read_rows(path: Path) -> pd.DataFrame:
    """Rows of a study's csv; none if there is no file yet."""
    if not path.exists():
        return pd.DataFrame(columns=COLUMNS)
    return pd.read_csv(path, dtype=dict(budget=str), float_precision='round_trip')


def append_rows(path: Path, rows: list[Row]) -> None:
    """Add rows to a study's csv, all or none; a repeated run has to have the same result."""
    if not rows:
        return  # of a pretraining, which has no head to test
    found = read_rows(path).to_dict('records')
    known = {tuple(row[key] for key in RUN): row for row in found}
    for row in rows:
        old = known.get(tuple(row[key] for key in RUN))
        if old and old['top1'] != row['top1']:
            place = f'seed {row["seed"]}, fold {row["fold"]}'
            raise ValueError(
                f'{path} has {old["top1"]:.4f} for {row["arm"]}, {row["training"]}, of {place}, '
                f'and this run {row["top1"]:.4f}, from another processor or other versions. Arms '
                f'are compared on the same starting weights: delete the rows of {place} from the '
                'csv, and the same command runs them all again')
    table = pd.DataFrame([*found, *(dict(row, torch=torch.__version__) for row in rows)])
    with atomic_file(path, durable=True) as partial:
        table.drop_duplicates(RUN).to_csv(partial, index=False, lineterminator='\n')


def missing_starts(study: Study, rows: pd.DataFrame) -> list[tuple]:
    """(seed, fold, arms) where the csv lacks a run: which arms to test the starting weights with.

    The plain ViT is always among them, so that weights that were trained again, and differ, are
    noticed.
    """
    cfg, done = Config.fromfile(study.config), done_runs(rows)
    tested = [] if _is_pretraining(cfg) else [FULL, *arms_put_in(cfg)]
    needed = {run[2:] for run in missing_arms(study, rows)}
    jobs = []
    for place in product(range(cfg.study.seeds), study.folds):
        arms = [arm for arm in tested if (*arm, START, *place) not in done]
        if arms or place in needed:
            jobs.append((*place, list(dict.fromkeys(tested[:1] + arms))))
    return jobs


def missing_arms(study: Study, rows: pd.DataFrame) -> list[tuple]:
    """(budget, arm, seed, fold) of the finetuning runs that the csv lacks, budget by budget."""
    cfg, done = Config.fromfile(study.config), done_runs(rows)
    return [(budget, arm, seed, fold) for budget, arms in cfg.study.budgets.items()
            for seed in range(cfg.study.seeds) for fold in study.folds for arm in arms
            if (budget, arm, FINETUNED, seed, fold) not in done]


def done_runs(rows: pd.DataFrame) -> set[tuple]:
    """What names a run, of all rows."""
    return set(rows[RUN].itertuples(index=False, name=None))


def run_study(study: Study, table: Path, workers: int) -> None:
    """Run what the csv lacks; each run adds its rows at once."""
    run_jobs(train_start, missing_starts(study, read_rows(table)), study, workers, table)
    run_jobs(finetune, missing_arms(study, read_rows(table)), study, workers, table)


def run_jobs(what: Callable[..., list[Row]], jobs: list[tuple], study: Any, workers: int,
             table: Path | None = None) -> list[Row]:
    """Run jobs of a study side by side; rows go into the csv as they come."""
    rows = []
    with ProcessPoolExecutor(workers, multiprocessing.get_context('spawn'), _start_worker,
                             (study.device, )) as pool:
        waiting = {pool.submit(what, study, *job) for job in jobs}
        try:
            for future in track(as_completed(set(waiting)), what.__name__, len(jobs)):
                waiting.remove(future)
                rows += future.result()
                if table:
                    append_rows(table, future.result())
        except BaseException:
            # what the workers have begun they end; nothing of it is lost
            pool.shutdown(cancel_futures=True)
            if table:
                append_rows(table, [row for future in waiting
                                    if not future.cancelled() and not future.exception()
                                    for row in future.result()])
            raise
    return rows


def _start_worker(device: str) -> None:
    os.environ.update(device_environment(device))
    torch.set_num_threads(1)

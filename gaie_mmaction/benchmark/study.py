"""Train and test arms of a study alike, resumably, one row of a csv per run.

A study is a config with a part ``study``: budget -> arm -> what the arm changes in the config.
Its plain ViT is trained first; these are the starting weights of all arms.
"""
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch
from mmengine.config import Config
from rich.progress import track

from ..apis.training import device_environment, last_checkpoint, train
from ..utils.files import atomic_file
from .accuracy import load_weights, measure_accuracy
from .complexity import build_recognizer, measure_complexity
from .study_clips import PARTS, Clips, DecodedClips, Folds, draw_dataset, read_clips

ROOT = Path(__file__).resolve().parents[2]
CONFIGS, EMBEDDED = ROOT / 'configs' / 'study', ROOT / 'data' / 'study'
# of the synthetic dataset that the studies are on
HARD = ('--difficulty', 'hard', '--train-subjects', '28', '--test-subjects', '16')
FULL = ('full', 'plain ViT')  # budget and arm of the reference
START, FINETUNED = 'start', 'finetuned'
RUN = ['budget', 'arm', 'training', 'seed', 'fold']  # columns that name a run
# top1 in [0, 1]; gmacs true, per view, of the model as it was tested
COLUMNS = [*RUN, 'clips', 'gmacs', 'top1']


@dataclass(frozen=True)
class Study:
    """Where a study's parts are.

    Attributes:
        config (Path): Its config.
        clips (Path): Its clips, see :class:`.study_clips.Clips`.
        work_dir (Path): Folder of its runs.
        device (str): ``'cpu'``, ``'cuda'`` or ``'cuda:N'``. Defaults to ``'cpu'``.
        pretrained (Study, optional): The study whose starting weights the backbones begin with.
            Defaults to None.
    """
    config: Path
    clips: Path
    work_dir: Path
    device: str = 'cpu'
    pretrained: 'Study | None' = None

    def run_dir(self, name: str, seed: int, fold: int) -> Path:
        """Path: Folder of a training; the starting weights' name is ``'start'``."""
        return self.work_dir / f'{name}-fold{fold}-seed{seed}'.replace(' ', '_')

    def start_checkpoint(self, seed: int, fold: int) -> Path | None:
        """Path: The starting weights; None if they are not trained."""
        return last_checkpoint(self.run_dir('start', seed, fold))


def open_study(config: Path, data: Path, work_dir: Path, device: str = 'cpu') -> Study:
    """Read, or decode, the clips of a study and of the one that it begins with.

    Args:
        config (Path): Its config; ``study.pretrained`` names another one in ``configs/study/``.
        data (Path): Folder of its data.
        work_dir (Path): Folder of its runs.
        device (str): Of its runs. Defaults to ``'cpu'``.

    Returns:
        Study: The study.
    """
    cfg, pretrained = Config.fromfile(config), None
    if name := cfg.study.get('pretrained'):
        draw_dataset(EMBEDDED, *HARD)
        pretrained = open_study(CONFIGS / f'{name}.py', EMBEDDED, work_dir.with_name(name), device)
    return Study(config, read_clips(cfg, data, work_dir), work_dir, device, pretrained)


def arms_of(cfg: Config) -> Iterator[tuple[str, str]]:
    """(budget, arm) of the whole study."""
    for budget, arms in cfg.study.budgets.items():
        for arm in arms:
            yield budget, arm


def arms_put_in(cfg: Config) -> Iterator[tuple[str, str]]:
    """(budget, arm) of the arms that need no finetuning: no hook changes them in training."""
    for budget, arm in arms_of(cfg):
        if (budget, arm) != FULL and 'custom_hooks' not in cfg.study.budgets[budget][arm]:
            yield budget, arm


def arm_config(cfg: Config, budget: str, arm: str) -> Config:
    """The study's config with the arm's changes."""
    own = Config(cfg.to_dict())
    own.merge_from_dict(own.study.budgets[budget][arm])
    return own


def start_config(cfg: Config, pretrained: Path | None) -> Config:
    """The study's config with the recipe of the starting weights."""
    own = Config(cfg.to_dict())
    own.merge_from_dict(own.study.start)
    if pretrained:
        own.model.backbone.pretrained = str(pretrained)
    return own


def run_config(cfg: Config, clips: Path, seed: int, fold: int,
               load_from: Path | None = None) -> Config:
    """A whole config for MMAction2's scripts, on the clips of one fold."""
    own = Config({key: value for key, value in cfg.to_dict().items() if key != 'study'})
    for part in PARTS:
        own[f'{part}_dataloader'].dataset = dict(
            type='DecodedClips', clips=str(clips), fold=fold, part=part,
            pipeline=own[f'{part}_pipeline'])
    own.val_dataloader = own.val_cfg = own.val_evaluator = None
    own.test_evaluator = dict(type='AccMetric')
    own.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=cfg.train_cfg.max_epochs)
    # runs take minutes, and one that begins again draws the same augmentation
    own.default_hooks.checkpoint.update(interval=cfg.train_cfg.max_epochs, save_optimizer=False)
    own.custom_imports.imports = [*own.custom_imports.imports, DecodedClips.__module__]
    own.randomness = dict(seed=seed)
    own.load_from = load_from and str(load_from)
    return own


def trained(study: Study, cfg: Config, run_dir: Path) -> Path:
    """Train a run, unless it is trained already.

    Raises:
        ValueError: If the folder holds a run of another config.
        ChildProcessError: If the training fails.
    """
    path = run_dir / 'run.py'
    text = cfg.pretty_text
    if path.exists() and path.read_text(encoding='utf-8') != text:
        raise ValueError(f'{run_dir} was trained with another state of {study.config}: move the '
                         'folder away')
    with atomic_file(path) as partial:
        partial.write_text(text, encoding='utf-8')
    # the worker sees its device alone, so its own N is 0; one thread, as the last digits depend
    # on the number
    return train(path, run_dir, device=study.device.split(':')[0], resume=True, threads=1,
                 log=run_dir / 'train.log')


def tested(study: Study, cfg: Config, checkpoint: Path,
           run: tuple[str, str, str, int, int]) -> dict[str, Any]:
    """The row of a run."""
    metrics = measure_accuracy(cfg, str(checkpoint), str(checkpoint.parent / 'test'), 'AccMetric')
    assert metrics is not None  # all clips are labelled
    model = build_recognizer(cfg)
    load_weights(model, str(checkpoint), str(study.config))  # of DiffRate, with learnt counts
    sizes = cfg.model.backbone
    cost = measure_complexity(model, (3, sizes.num_frames, sizes.img_size, sizes.img_size))
    num_clips = len(Clips.load(study.clips).folds[run[-1]][1])
    return dict(zip(COLUMNS, (*run, num_clips, round(cost.true_macs / 1e9, 6),
                              round(float(metrics['acc/top1']), 6))))


def train_start(study: Study, seed: int, fold: int, put_in: bool = True) -> list[dict[str, Any]]:
    """Train the plain ViT; test it as it is and, with ``put_in``, with each reducer put in."""
    base = Config.fromfile(study.config)
    begin = study.pretrained.start_checkpoint(seed, 0) if study.pretrained else None
    cfg = run_config(start_config(base, begin), study.clips, seed, fold)
    checkpoint = trained(study, cfg, study.run_dir('start', seed, fold))
    rows = [tested(study, cfg, checkpoint, (*FULL, START, seed, fold))]
    for arm in arms_put_in(base) if put_in else ():
        own = run_config(arm_config(base, *arm), study.clips, seed, fold)
        rows.append(tested(study, own, checkpoint, (*arm, START, seed, fold)))
    return rows


def finetune(study: Study, budget: str, arm: str, seed: int, fold: int) -> list[dict[str, Any]]:
    """Finetune one arm from the starting weights of its seed and fold, and test it."""
    cfg = run_config(arm_config(Config.fromfile(study.config), budget, arm), study.clips, seed,
                     fold, study.start_checkpoint(seed, fold))
    checkpoint = trained(study, cfg, study.run_dir(f'{budget}-{arm}', seed, fold))
    return [tested(study, cfg, checkpoint, (budget, arm, FINETUNED, seed, fold))]


def choose_fold(study: Study, fold: int) -> list[dict[str, Any]]:
    """The plain ViT on a fold of ``chosen_on``, trained on the others of them; nothing is kept.

    No clip of another fold is read. Seed 0, as starting weights and finetuned.
    """
    clips = Clips.load(study.clips)
    others = [k for other in Config.fromfile(study.config).study.chosen_on if other != fold
              for k in clips.folds[other][1]]
    with TemporaryDirectory() as folder:
        own = replace(study, clips=Path(folder) / 'clips.json', work_dir=Path(folder))
        replace(clips, folds={fold: (others, clips.folds[fold][1])}).save(own.clips)
        return [*train_start(own, 0, fold, put_in=False), *finetune(own, *FULL, 0, fold)]


def read_rows(path: Path) -> pd.DataFrame:
    """Rows of a study's csv; none if there is no file yet."""
    if not path.exists():
        return pd.DataFrame(columns=COLUMNS)
    return pd.read_csv(path, dtype=dict(budget=str), float_precision='round_trip')


def append_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Add rows to a study's csv, all or none; a repeated run replaces its rows."""
    table = pd.concat([part for part in (read_rows(path), pd.DataFrame(rows)) if len(part)])
    with atomic_file(path, durable=True) as partial:
        table.drop_duplicates(RUN, keep='last').to_csv(partial, index=False, lineterminator='\n')


def missing_starts(study: Study, cfg: Config, folds: Folds, rows: pd.DataFrame) -> list[tuple]:
    """(seed, fold) of the starting weights that lack their checkpoint or rows of the csv."""
    done = set(rows[RUN].itertuples(index=False, name=None))
    return [(seed, fold) for seed in range(cfg.study.seeds) for fold in folds
            if study.start_checkpoint(seed, fold) is None
            or any((*arm, START, seed, fold) not in done for arm in (FULL, *arms_put_in(cfg)))]


def missing_arms(cfg: Config, folds: Folds, rows: pd.DataFrame) -> list[tuple]:
    """(budget, arm, seed, fold) of the finetuning runs that the csv lacks, budget by budget."""
    done = set(rows[RUN].itertuples(index=False, name=None))
    return [(budget, arm, seed, fold) for budget, arms in cfg.study.budgets.items()
            for seed in range(cfg.study.seeds) for fold in folds for arm in arms
            if (budget, arm, FINETUNED, seed, fold) not in done]


def run_study(study: Study, table: Path, workers: int) -> None:
    """Run what the csv lacks; each run adds its rows at once."""
    cfg, folds = Config.fromfile(study.config), Clips.load(study.clips).folds
    pretrain(study, cfg.study.seeds, workers)
    run_jobs(train_start, missing_starts(study, cfg, folds, read_rows(table)), study, workers,
             table)
    run_jobs(finetune, missing_arms(cfg, folds, read_rows(table)), study, workers, table)


def pretrain(study: Study, seeds: int, workers: int) -> None:
    """Train what the starting weights begin with, where it is missing."""
    if other := study.pretrained:
        missing = [(seed, 0, False) for seed in range(seeds)
                   if other.start_checkpoint(seed, 0) is None]
        run_jobs(train_start, missing, other, workers)


def run_jobs(what: Callable[..., list[dict[str, Any]]], jobs: list[tuple], study: Study,
             workers: int, table: Path | None = None) -> list[dict[str, Any]]:
    """Run jobs of a study side by side; rows go into the csv as they come."""
    rows = []
    with ProcessPoolExecutor(workers, multiprocessing.get_context('spawn'), _start_worker,
                             (study.device, )) as pool:
        futures = [pool.submit(what, study, *job) for job in jobs]
        try:
            for future in track(as_completed(futures), what.__name__, len(jobs)):
                rows += future.result()
                if table:
                    append_rows(table, future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return rows


def _start_worker(device: str) -> None:
    os.environ.update(device_environment(device))
    torch.set_num_threads(1)

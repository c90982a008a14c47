"""Masked motion pretraining against training from scratch, with few labels and with all.

Rows are those of :mod:`~gaie_mmaction.benchmark.study`: the budget is the share of the labels.
"""
import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from mmengine.config import Config
from mmengine.runner import Runner

from ..apis.model import build_recognizer, view_shape
from ..apis.training import last_checkpoint
from ..utils.files import atomic_file
from . import study_report
from .complexity import measure_complexity
from .study import COLUMNS, FINETUNED, Row, done_runs, read_rows, run_jobs

PRETRAINED = 'pretrained'  # the arm that starts from the pretraining
TRAINING_SUBJECTS = (1, 3, 5, 7)  # UTD-MHAD's protocol; the even ones are tested
HIP, NECK = 3, 1


@dataclass(frozen=True)
class SkeletonStudy:
    """Where the parts of a study are."""
    config: Path
    skeletons: Path  # file of convert_utd_mhad()
    work_dir: Path
    held_out: int = 0  # a training subject to test, for choices, instead of the test subjects
    device: ClassVar[str] = 'cpu'  # the networks are too small for anything else


def convert_utd_mhad(data: Path, path: Path, cfg: Config) -> None:
    """Write UTD-MHAD's skeletons, with all splits of the study, as ``PoseDataset`` reads them.

    ``data`` is an npz with ``joints`` (all frames, 20, 3), and ``length``, ``action`` from 1,
    ``subject`` and ``trial`` of each sequence; another one is a ``ValueError``. The hip of the
    first frame becomes the origin, the spine (hip to neck) of that frame the unit.
    """
    content = dict(np.load(data))
    missing = {'joints', 'length', 'action', 'subject', 'trial'} - set(content)
    if missing or content['length'].sum() != len(content['joints']):
        raise ValueError(f'{data} is not UTD-MHAD: it lacks {sorted(missing) or "frames"}, see '
                         'docs/skeletons.md')
    labels, subjects = content['action'] - 1, content['subject']
    ids = np.array([f'a{label + 1}_s{subject}_t{trial}' for label, subject, trial in
                    zip(labels, subjects, content['trial'])])
    clips = np.split(content['joints'], np.cumsum(content['length'])[:-1])
    annotations = []
    for clip, clip_id, label in zip(clips, ids, labels):
        origin, unit = clip[0, HIP], np.linalg.norm(clip[0, NECK] - clip[0, HIP])
        annotations.append(dict(
            frame_dir=str(clip_id), label=int(label), total_frames=len(clip),
            keypoint=((clip - origin) / unit)[None].astype(np.float32)))
    splits = {}
    for held_out in (0, *TRAINING_SUBJECTS):
        trained = np.isin(subjects, TRAINING_SUBJECTS) & (subjects != held_out)
        tested = subjects == held_out if held_out else ~np.isin(subjects, TRAINING_SUBJECTS)
        splits[f'train{held_out}'], splits[f'test{held_out}'] = (
            ids[part].tolist() for part in (trained, tested))
        for seed in range(cfg.study.seeds):
            for budget in cfg.study.budgets:
                random = np.random.default_rng(seed)
                splits[f'train{held_out}-{budget}-{seed}'] = [
                    str(clip_id) for label in range(labels.max() + 1)
                    for clip_id in _draw(random, ids[trained & (labels == label)], float(budget))]
    with atomic_file(path) as partial:
        partial.write_bytes(pickle.dumps(dict(split=splits, annotations=annotations)))


def _draw(random: np.random.Generator, ids: np.ndarray, share: float) -> np.ndarray:
    return random.permutation(ids)[:max(1, round(share * len(ids)))]


def run_config(study: SkeletonStudy, seed: int, split: str, name: str, *changes: dict) -> Config:
    """A whole config for one run."""
    own = Config.fromfile(study.config)
    for change in changes:
        own.merge_from_dict(change)
    own.pop('study')
    own.train_dataloader.dataset.update(ann_file=str(study.skeletons), split=split)
    own.test_dataloader.dataset.update(ann_file=str(study.skeletons),
                                       split=f'test{study.held_out}')
    steps = own.train_cfg.max_iters
    own.default_hooks.checkpoint.update(by_epoch=False, interval=steps, save_optimizer=False)
    own.default_hooks.pop('preemption')  # its checkpoint would pass for that of a whole run
    own.default_hooks.logger.interval = 100
    own.work_dir = str(study.work_dir / f'{name}-{study.held_out}-{seed}'.replace(' ', '_'))
    own.experiment_name = f'{name}-{seed}-{os.urandom(4).hex()}'  # mmengine wants another each time
    own.randomness, own.log_level = dict(seed=seed), 'WARNING'
    return own


def pretrain(study: SkeletonStudy) -> list[Row]:
    """Pretrain on all clips of the training subjects, once for all seeds."""
    changes = Config.fromfile(study.config).study.pretraining
    cfg = run_config(study, 0, f'train{study.held_out}', PRETRAINED, changes)
    cfg.test_dataloader = cfg.test_evaluator = cfg.test_cfg = None
    Runner.from_cfg(cfg).train()
    return []


def train_arm(study: SkeletonStudy, budget: str, arm: str, seed: int) -> list[Row]:
    """Train one arm with a share of the labels, and test it."""
    plan = Config.fromfile(study.config).study
    split = f'train{study.held_out}-{budget}-{seed}'
    cfg = run_config(study, seed, split, f'{arm}-{budget}', plan.budgets[budget], plan.arms[arm])
    cost = measure_complexity(build_recognizer(cfg), view_shape(cfg))
    if arm == PRETRAINED:
        cfg.model.backbone.pretrained = str(_pretrained(study))
    runner = Runner.from_cfg(cfg)
    runner.train()
    found = runner.test()
    return [dict(zip(COLUMNS, (budget, arm, FINETUNED, seed, study.held_out,
                               len(runner.train_dataloader.dataset),
                               round(cost.true_macs / 1e9, 6), round(found['acc/top1'], 6))))]


def _pretrained(study: SkeletonStudy) -> Path | None:
    return last_checkpoint(study.work_dir / f'{PRETRAINED}-{study.held_out}-0')


def run_study(study: SkeletonStudy, table: Path | None, workers: int,
              seeds: int | None = None) -> pd.DataFrame:
    """Run what the csv lacks; each run adds its row at once. Returns the new and the old rows."""
    plan = Config.fromfile(study.config).study
    seeds = seeds or plan.seeds
    if not _pretrained(study):
        run_jobs(pretrain, [()], study, workers)
    rows = read_rows(table) if table else pd.DataFrame(columns=COLUMNS)
    done = done_runs(rows)
    jobs = [(budget, arm, seed) for seed in range(seeds) for budget in plan.budgets
            for arm in plan.arms if (budget, arm, FINETUNED, seed, study.held_out) not in done]
    new = run_jobs(train_arm, jobs, study, workers, table)
    return read_rows(table) if table else pd.DataFrame(new, columns=COLUMNS)


def make_table(rows: pd.DataFrame, plan: Config) -> list[str]:
    """Markdown lines: arms by share of the labels."""
    shares = {budget: f'{float(budget):.0%}, {clips} clips'
              for budget, clips in rows.groupby('budget').clips.first().items()}
    return study_report.make_table(
        rows.assign(budget=rows.budget.map(shares)), dict.fromkeys(shares.values(), plan.arms),
        heading='labels', ours=PRETRAINED)

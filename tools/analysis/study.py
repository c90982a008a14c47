"""Train and test every token reducer alike, and compare them at the same cost.

A plain ViT is trained with every seed; these are the starting weights. Each arm of the
config's study (the plain ViT again, each reducer) is then finetuned from the starting
weights of its seed, on the same clips in the same order. The starting weights
are also tested with each reducer put in, without finetuning. A finished run adds
its rows to the study's csv at once, and the same command goes on where it was
stopped. ``--report`` writes tables and picture from the csv alone. ``--choose``
judges a recipe by the plain ViT alone, on the folds that the choice may see.
"""
import argparse
import csv
import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, set_random_seed
from study_report import write_report
from tqdm import tqdm

from gaie_mmaction.benchmark import measure_complexity
from gaie_mmaction.datasets import IMiGUEDataset
from gaie_mmaction.utils.files import atomic_file

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / 'work_dirs' / 'study'
TABLES = ROOT / 'docs' / 'study'
CONFIGS = ROOT / 'configs' / 'study'
EMBEDDED = ROOT / 'data' / 'study'
STUDIES = ('embedded', 'egogestar')
FULL = ('full', 'plain ViT')  # budget and arm of the reference
START, FINETUNED = 'start', 'finetuned'
# top1 in [0, 1]; gmacs true, per view, of the model as it was tested
COLUMNS = ('budget', 'arm', 'training', 'seed', 'fold', 'clips', 'gmacs', 'top1')
Row = dict[str, Any]
Folds = dict[int, tuple[list[int], list[int]]]


@dataclass(frozen=True)
class Clips:
    """All clips of a study, decoded.

    Attributes:
        frames (np.ndarray): ``(clips, T, H, W, 3)`` uint8, mapped from the disk.
        labels (list[int]): Of each clip.
        folds (dict): Fold -> places of its training and of its test clips.
    """
    frames: np.ndarray
    labels: list[int]
    folds: Folds


class MemoryDataset(torch.utils.data.Dataset):
    """Some of the clips, through the rest of a pipeline.

    Args:
        clips (Clips): All of them.
        places (list[int]): Which ones.
        pipeline (list[dict]): Transforms of decoded frames.
    """

    metainfo: dict = {}

    def __init__(self, clips: Clips, places: list[int], pipeline: list[dict]) -> None:
        self.clips = clips
        self.places = places
        self.pipeline = Compose(pipeline)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> dict:
        place = self.places[index]
        frames = np.array(self.clips.frames[place])  # a copy: Flip writes into the frames
        # all frames as they are, or for a transform that samples among them
        return self.pipeline(dict(
            imgs=list(frames), img_shape=frames.shape[1:3], clip_len=len(frames), num_clips=1,
            array=frames, total_frames=len(frames), start_index=0,
            modality='RGB', label=self.clips.labels[place]))


def read_clips(name: str, cfg: Config, data: Path) -> Clips:
    """Decode all clips, or map what an earlier run has decoded.

    Args:
        name (str): Of the study.
        cfg (Config): Its config.
        data (Path): Folder of the data.

    Returns:
        Clips: The clips.
    """
    init_default_scope('mmaction')
    datasets, folds = (egogestar if name == 'egogestar' else embedded)(cfg, data)
    infos = [dataset.get_data_info(k) for dataset in datasets for k in range(len(dataset))]
    labels = [info['label'] for info in infos]
    files = {info['filename']: os.stat(info['filename']) for info in infos}
    key = json.dumps([str(cfg.stored_pipeline), [(i['clip_id'], i['start_frame']) for i in infos],
                      [(name, stat.st_size, stat.st_mtime_ns) for name, stat in files.items()]])
    path = WORK / name / f'clips-{hashlib.sha256(key.encode()).hexdigest()[:12]}.npy'
    if not path.exists():
        frames: np.ndarray | None = None
        for k, sample in enumerate(tqdm(
                (dataset[k] for dataset in datasets for k in range(len(dataset))),
                total=len(infos), desc='decoding', unit='clip')):
            clip = np.stack(sample['imgs'])
            if frames is None:
                frames = np.empty((len(infos), *clip.shape), np.uint8)
            frames[k] = clip
        assert frames is not None  # no data set is empty
        with atomic_file(path) as partial, open(partial, 'wb') as file:
            np.save(file, frames)
    return Clips(np.load(path, mmap_mode='r'), labels, folds)


def embedded(cfg: Config, data: Path) -> tuple[list[IMiGUEDataset], Folds]:
    """The demo release: one fold, the subjects of the test part are unseen."""
    parts = [
        IMiGUEDataset(ann_file=part, data_root=str(data), data_prefix=dict(video='videos'),
                      pipeline=cfg.stored_pipeline) for part in ('trainval.csv', 'test.csv')
    ]
    border, total = len(parts[0]), len(parts[0]) + len(parts[1])
    return parts, {0: (list(range(border)), list(range(border, total)))}


def egogestar(cfg: Config, data: Path) -> tuple[list[IMiGUEDataset], Folds]:
    """Clips of real footage: ``labels.csv`` names path, label, label_id and fold of each."""
    with open(data / 'labels.csv', encoding='utf-8', newline='') as file:
        rows = [row for row in csv.DictReader(file) if row['label'] != 'unclassified']
    ann_file = WORK / 'egogestar' / 'clips.txt'
    with atomic_file(ann_file) as partial:
        partial.write_text(''.join(f'{row["path"]} {row["label_id"]}\n' for row in rows),
                           encoding='utf-8')
    classes = sorted({(int(row['label_id']), row['label']) for row in rows})
    dataset = IMiGUEDataset(
        ann_file=str(ann_file), data_prefix=dict(video=str(data)),
        metainfo=dict(classes=[label for _, label in classes]), pipeline=cfg.stored_pipeline)
    fold_of = [int(row['fold']) for row in rows]
    folds = {
        fold: ([k for k, other in enumerate(fold_of) if other != fold],
               [k for k, other in enumerate(fold_of) if other == fold])
        for fold in sorted(set(fold_of))
    }
    return [dataset], folds


def arm_config(cfg: Config, budget: str, arm: str) -> Config:
    """The study's config with one arm's part merged into it."""
    own = Config(cfg.to_dict())
    own.merge_from_dict(own.study.budgets[budget][arm])
    return own


def make_runner(cfg: Config, clips: Clips, fold: int, seed: int, work_dir: Path,
                start: Path | None = None) -> Runner:
    """mmengine's runner of one run.

    Args:
        cfg (Config): Of the arm.
        clips (Clips): The data.
        fold (int): Which fold.
        seed (int): Of initial weights, order and augmentation.
        work_dir (Path): For the log and the last checkpoint.
        start (Path, optional): Checkpoint to begin with. Defaults to None, the
            model's own initialisation.
    """
    init_default_scope('mmaction')
    set_random_seed(seed)  # some transforms draw when they are built
    loaders = {}
    for part, places in zip(('train', 'test'), clips.folds[fold]):
        dataset = MemoryDataset(clips, places, cfg[f'{part}_pipeline'])
        settings = dict(cfg[f'{part}_dataloader'], dataset=dataset)
        loaders[f'{part}_dataloader'] = Runner.build_dataloader(settings, seed=seed)
    runner = Runner(
        model=cfg.model, work_dir=str(work_dir), train_cfg=dict(cfg.train_cfg, val_interval=10**6),
        test_cfg=cfg.test_cfg, optim_wrapper=cfg.optim_wrapper,
        param_scheduler=cfg.param_scheduler, test_evaluator=dict(type='AccMetric'),
        default_hooks=dict(cfg.default_hooks, checkpoint=dict(
            type='CheckpointHook', interval=-1, save_optimizer=False)),
        custom_hooks=cfg.get('custom_hooks'), log_processor=cfg.log_processor,
        env_cfg=cfg.env_cfg, load_from=start and str(start), log_level='WARNING',
        default_scope='mmaction', randomness=dict(seed=seed),
        # loggers and writers of one name and second are shared, even with another folder
        experiment_name='-'.join((*work_dir.parts[-2:], str(os.getpid()))), **loaders)
    return runner


def train_start(name: str, config: str, data: str, seed: int, fold: int) -> list[Row]:
    """Train the plain ViT, unless it is there; test it as it is and with each reducer put in.

    Returns:
        list[dict]: Rows of the csv.
    """
    torch.set_num_threads(1)  # the last digits, and so the result, depend on it
    base = Config.fromfile(config)
    clips = read_clips(name, base, Path(data))
    checkpoint = start_checkpoint(name, seed, fold)
    cfg, runner = start_runner(base, clips, seed, fold, checkpoint)
    rows = [make_row(*FULL, START, seed, fold, clips, runner, cfg)]
    for budget, arm in arms_put_in(base):
        own = arm_config(base, budget, arm)
        other = make_runner(own, clips, fold, seed, checkpoint.parent / 'with_reducers')
        other.model.load_state_dict(runner.model.state_dict())
        rows.append(make_row(budget, arm, START, seed, fold, clips, other, own))
    return rows


def start_runner(base: Config, clips: Clips, seed: int, fold: int,
                 checkpoint: Path) -> tuple[Config, Runner]:
    """Config and runner of the starting weights, which are trained unless they are there."""
    cfg = Config(base.to_dict())
    cfg.merge_from_dict(base.study.start)
    if base.study.get('pretrained'):
        pretrained = start_checkpoint(base.study.pretrained, seed, 0)
        cfg.model.backbone.pretrained = str(pretrained)
    runner = make_runner(cfg, clips, fold, seed, checkpoint.parent / 'run')
    if checkpoint.exists():
        runner.model.load_state_dict(torch.load(checkpoint)['state_dict'])
    else:
        runner.train()
        with atomic_file(checkpoint) as partial:
            torch.save(dict(state_dict=runner.model.state_dict()), partial)
    return cfg, runner


def pretrain(name: str, config: str, data: str, seed: int) -> list[Row]:
    """Train the starting weights of another study; its csv stays as it is."""
    torch.set_num_threads(1)
    base = Config.fromfile(config)
    clips = read_clips(name, base, Path(data))
    start_runner(base, clips, seed, 0, start_checkpoint(name, seed, 0))
    return []


def start_checkpoint(name: str, seed: int, fold: int) -> Path:
    """Where the starting weights lie."""
    return WORK / name / f'start-fold{fold}-seed{seed}' / 'start.pth'


def finetune(name: str, config: str, data: str, budget: str, arm: str, seed: int,
             fold: int) -> list[Row]:
    """Finetune one arm from the starting weights and test it.

    Returns:
        list[dict]: The row of the csv.
    """
    torch.set_num_threads(1)
    base = Config.fromfile(config)
    clips = read_clips(name, base, Path(data))
    cfg = arm_config(base, budget, arm)
    work_dir = WORK / name / f'{budget}-{arm}-fold{fold}-seed{seed}'.replace(' ', '_')
    runner = make_runner(cfg, clips, fold, seed, work_dir, start_checkpoint(name, seed, fold))
    runner.train()
    return [make_row(budget, arm, FINETUNED, seed, fold, clips, runner, cfg)]


def arms_of(cfg: Config) -> Iterator[tuple[str, str]]:
    """(budget, arm) of the whole study."""
    for budget, arms in cfg.study.budgets.items():
        for arm in arms:
            yield budget, arm


def arms_put_in(cfg: Config) -> Iterator[tuple[str, str]]:
    """(budget, arm) of the reducers without parameters: they need no finetuning."""
    for budget, arm in arms_of(cfg):
        neck = arm_config(cfg, budget, arm).model.backbone.get('neck')
        if neck is not None and neck.type != 'DiffRateNeck':
            yield budget, arm


def make_row(budget: str, arm: str, training: str, seed: int, fold: int, clips: Clips,
             runner: Runner, cfg: Config) -> Row:
    """Test what a runner holds."""
    top1 = round(float(runner.test()['acc/top1']), 6)
    return dict(budget=budget, arm=arm, training=training, seed=seed, fold=fold,
                clips=len(clips.folds[fold][1]), gmacs=round(gmacs(runner.model, cfg), 6),
                top1=top1)


def gmacs(model: torch.nn.Module, cfg: Config) -> float:
    """True GMACs per view."""
    backbone = cfg.model.backbone
    shape = (3, backbone.num_frames, backbone.img_size, backbone.img_size)
    return measure_complexity(model.eval(), shape).true_macs / 1e9


def read_rows(path: Path) -> list[Row]:
    """Rows of a study's csv, [] if there is none yet; numbers are numbers."""
    if not path.exists():
        return []
    with open(path, encoding='utf-8', newline='') as file:
        rows = list(csv.DictReader(file))
    numbers = dict(seed=int, fold=int, clips=int, gmacs=float, top1=float)
    return [{key: numbers.get(key, str)(value) for key, value in row.items()} for row in rows]


def append_rows(path: Path, rows: list[Row]) -> None:
    """Add rows to a study's csv, all or none; a run that is made again replaces its rows."""
    new = {tuple(row[key] for key in COLUMNS[:5]) for row in rows}
    old = [row for row in read_rows(path) if tuple(row[key] for key in COLUMNS[:5]) not in new]
    with atomic_file(path, durable=True) as partial, \
            open(partial, 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator='\n')
        writer.writeheader()
        writer.writerows(old + rows)


def missing_starts(name: str, cfg: Config, folds: Folds, rows: list[Row]) -> list[tuple]:
    """(seed, fold) of the starting weights that lack their file or rows of the csv."""
    done = {(row['budget'], row['arm'], row['seed'], row['fold'])
            for row in rows if row['training'] == START}
    wanted = [FULL, *arms_put_in(cfg)]
    return [(seed, fold) for seed in range(cfg.study.seeds) for fold in folds
            if not start_checkpoint(name, seed, fold).exists()
            or any((*one, seed, fold) not in done for one in wanted)]


def missing_arms(cfg: Config, folds: Folds, rows: list[Row]) -> list[tuple]:
    """(budget, arm, seed, fold) of the finetuning runs that the csv lacks, budget by budget."""
    done = {(row['budget'], row['arm'], row['seed'], row['fold'])
            for row in rows if row['training'] == FINETUNED}
    wanted = [(budget, arm, seed, fold) for budget, arms in cfg.study.budgets.items()
              for seed in range(cfg.study.seeds) for fold in folds for arm in arms]
    return [one for one in wanted if one not in done]


def run_all(what: Callable[..., list[Row]], jobs: list[tuple], workers: int, table: Path,
            *common: Any) -> None:
    """Run jobs side by side; rows go into the table as they come."""
    with ProcessPoolExecutor(workers, multiprocessing.get_context('spawn')) as pool:
        futures = [pool.submit(what, *common, *job) for job in jobs]
        try:
            for future in tqdm(as_completed(futures), total=len(jobs), desc=what.__name__,
                               unit='run'):
                rows = future.result()
                if rows:
                    append_rows(table, rows)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def make_pretrained(cfg: Config, seeds: int, workers: int, table: Path) -> None:
    """Train what the starting weights begin with, where it is missing."""
    name = cfg.study.get('pretrained')
    missing = [(seed,) for seed in range(seeds)
               if name and not start_checkpoint(name, seed, 0).exists()]
    if missing:
        draw_embedded(EMBEDDED)
        config = CONFIGS / f'{name}.py'
        read_clips(name, Config.fromfile(config), EMBEDDED)
        run_all(pretrain, missing, workers, table, name, str(config), str(EMBEDDED))


def choose(cfg: Config, clips: Clips) -> None:
    """Print the plain ViT's Top-1 on each fold of ``chosen_on``, trained on the others of them.

    No clip of another fold is read. Seed 0, as starting weights and finetuned; nothing is kept.
    """
    torch.set_num_threads(1)
    folds = cfg.study.chosen_on
    right = np.zeros(2)
    for fold in folds:
        places = [k for other in folds if other != fold for k in clips.folds[other][1]]
        own = Clips(clips.frames, clips.labels, {fold: (places, clips.folds[fold][1])})
        with tempfile.TemporaryDirectory() as folder:
            start = Path(folder) / 'start.pth'
            _, runner = start_runner(cfg, own, 0, fold, start)
            finetuned = make_runner(cfg, own, fold, 0, start.parent, start)
            finetuned.train()
            top1 = np.array([float(one.test()['acc/top1']) for one in (runner, finetuned)])
        right += top1 * len(clips.folds[fold][1])
        print(f'fold {fold}: start {top1[0]:.1%}, finetuned {top1[1]:.1%}', flush=True)
    top1 = right / sum(len(clips.folds[fold][1]) for fold in folds)
    print(f'together: start {top1[0]:.1%}, finetuned {top1[1]:.1%}')


def draw_embedded(data: Path) -> None:
    """Draw and prepare the release where it is missing."""
    if (data / 'test.csv').exists():
        return
    release = data.parent / f'{data.name}_release'
    tools = ROOT / 'tools' / 'data'
    subprocess.run([sys.executable, tools / 'make_demo_release.py', release, '--overwrite',
                    '--difficulty', 'hard', '--train-subjects', '28', '--test-subjects', '16'],
                   check=True)
    subprocess.run([sys.executable, tools / 'prepare_imigue.py', release, '--out', data,
                    '--test-labels', release / 'test_answers.csv'], check=True)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', choices=STUDIES, default='embedded',
                        help='which study (default: embedded)')
    parser.add_argument('--root', type=Path, help='folder of the data; needed for egogestar. The '
                        'embedded data are drawn there if they are missing (default: data/study)')
    parser.add_argument('--workers', type=int, default=1,
                        help='runs at a time, one thread each (default: 1)')
    parser.add_argument('--report', action='store_true',
                        help='write tables and picture from the csv, and run nothing')
    parser.add_argument('--choose', action='store_true',
                        help='print what the plain ViT reaches on the folds that the recipe was '
                        'chosen on, each left out in turn, and run nothing else')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='changes of the recipe, with --choose alone')
    args = parser.parse_args()
    if args.data == 'egogestar' and args.root is None and not args.report:
        parser.error('--data egogestar needs --root, the folder with labels.csv')
    if args.choose and args.data != 'egogestar':
        parser.error('--choose needs --data egogestar: the other study has one fold')
    if args.cfg_options and not args.choose:
        parser.error('--cfg-options needs --choose: a study has the recipe of its config')
    if args.workers < 1:
        parser.error(f'--workers must be at least 1, but got {args.workers}')
    return args


def main() -> None:
    args = parse_args()
    config = CONFIGS / f'{args.data}.py'
    table = TABLES / f'{args.data}.csv'
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(args.cfg_options or {})
    if not args.report:
        data = (args.root or EMBEDDED).resolve()
        if args.data == 'embedded':
            draw_embedded(data)
        clips = read_clips(args.data, cfg, data)
        make_pretrained(cfg, 1 if args.choose else cfg.study.seeds, args.workers, table)
        if args.choose:
            choose(cfg, clips)
            return
        common = (table, args.data, str(config), str(data))
        run_all(train_start, missing_starts(args.data, cfg, clips.folds, read_rows(table)),
                args.workers, *common)
        run_all(finetune, missing_arms(cfg, clips.folds, read_rows(table)), args.workers, *common)
    budgets = {budget: list(arms) for budget, arms in cfg.study.budgets.items()}
    rows = read_rows(table)
    seen = cfg.study.get('chosen_on')
    unseen = sorted({row['fold'] for row in rows} - set(seen)) if seen else ()
    write_report(args.data, budgets, rows, ROOT / 'docs' / 'study.md', unseen)


if __name__ == '__main__':
    main()

"""RGB, Taylor frames and optical flow on real footage: each stream alone, and their fusion.

Each stream is the plain ViT of a study (:mod:`.study`), trained once for each fold.
"""
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from ..apis.model import build_recognizer, load_weights
from .study import CONFIGS, FULL, Row, Study, open_study, run_config, run_jobs, train_start

STREAMS = {'RGB': 'egogestar', 'Taylor': 'egogestar_taylor', 'flow': 'egogestar_flow'}


def score_fold(study: Study, fold: int) -> list[Row]:
    """Train on the other folds, unless that is done; returns a row per clip of this one.

    It has ``fold``, ``clip_id``, ``label`` and ``p0``, ``p1``, …, the probabilities.
    """
    train_start(study, 0, fold, [FULL])
    cfg = run_config(Config.fromfile(study.config), study, 0, fold)
    cfg.model.cls_head.average_clips = 'prob'
    model = build_recognizer(cfg).eval()
    load_weights(model, str(study.start_checkpoint(0, fold)), str(study.config))
    loader = Runner.build_dataloader(cfg.test_dataloader)
    with torch.inference_mode():
        samples = [sample for data in loader for sample in model.test_step(data)]
    return [dict(fold=fold, clip_id=row.clip_id, label=row.label,
                 **{f'p{k}': round(float(p), 4) for k, p in enumerate(sample.pred_score)})
            for row, sample in zip(loader.dataset.rows.itertuples(), samples)]


def run_streams(footage: Path, work_dir: Path, workers: int, device: str = 'cpu') -> pd.DataFrame:
    """Train and test all streams; a stopped run goes on. Returns a row per stream and clip."""
    tables = []
    for stream, name in STREAMS.items():
        study = open_study(CONFIGS / f'{name}.py', work_dir / name, device, footage, workers)
        rows = run_jobs(score_fold, [(fold, ) for fold in study.folds], study, workers)
        tables.append(pd.DataFrame(rows).sort_values(['fold', 'clip_id']).assign(stream=stream))
    return pd.concat(tables, ignore_index=True)


def make_table(rows: pd.DataFrame, chosen_on: list[int]) -> list[str]:
    """Markdown lines: Top-1 of each stream and of the mean probabilities of several, in percent.

    One column per fold, one of all clips, and one of the folds that no choice has seen.
    """
    scores = rows.columns[rows.columns.str.fullmatch(r'p\d+')]
    clips = rows[rows.stream == rows.stream.iloc[0]].set_index('clip_id')
    parts = {stream: own.set_index('clip_id').loc[clips.index, scores].to_numpy()
             for stream, own in rows.groupby('stream', sort=False)}
    folds = sorted(set(clips.fold))
    unseen = [fold for fold in folds if fold not in chosen_on]
    groups = [*([fold] for fold in folds), folds, unseen]
    names = [*(f'fold {fold}' for fold in folds), 'all', f'folds {" and ".join(map(str, unseen))}']
    lines = [f'| streams | {" | ".join(names)} |', f'|---|{"--:|" * len(names)}']
    for size in range(1, len(parts) + 1):
        for chosen in combinations(parts, size):
            right = np.mean([parts[stream] for stream in chosen], axis=0).argmax(
                axis=1) == clips.label
            cells = [f'{right[clips.fold.isin(group)].mean():.1%}' for group in groups]
            lines.append(f'| {" + ".join(chosen)} | {" | ".join(cells)} |')
    return lines

"""Scores that ``mim test --dump`` keeps, read without running anything."""
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..datasets.annotations import examples
from ..utils import safe_pickle
from .submission_file import compare_ids

FLOATS = (torch.float16, torch.float32, torch.float64)  # bfloat16 sums are too coarse


@dataclass
class Scores:
    """Of one network: N clips, C classes."""
    path: str
    ids: list[str]
    scores: np.ndarray  # (N, C) float64
    labels: np.ndarray  # (N,), -1 where there is none


def read_dump(path: str) -> Scores:
    """Read a dump: a list with ``clip_id``, ``pred_score`` ``(C,)`` and ``gt_label`` per clip.

    Anything else, a repeated clip and scores that are not finite are a ``ValueError``.
    """
    samples = safe_pickle.load_pickle_safely(path)
    if not (isinstance(samples, list) and samples
            and all(isinstance(sample, dict) for sample in samples)):
        raise ValueError(f'{path} is not a list of clips: make it by `mim test mmaction CONFIG '
                         f'--checkpoint FILE --dump {path}`')
    for key in ('clip_id', 'pred_score', 'gt_label'):
        if lacking := sum(key not in sample for sample in samples):
            way = ": add 'clip_id' to meta_keys of PackActionInputs" if key == 'clip_id' else ''
            raise ValueError(f'{path}: {lacking} of {len(samples)} clips have no {key}{way}')
    ids = [sample['clip_id'] for sample in samples]
    if unnamed := [clip_id for clip_id in ids if not isinstance(clip_id, str)]:
        raise ValueError(f'{path}: {len(unnamed)} clips have an id that is not a text, e.g. '
                         f'{examples(unnamed)}')
    if repeated := sorted(clip_id for clip_id, times in Counter(ids).items() if times > 1):
        raise ValueError(f'{path}: {len(repeated)} clips occur more than once, e.g. '
                         f'{examples(repeated)}')
    rows = [_scores(path, sample) for sample in samples]
    shapes = {tuple(row.shape) for row in rows}
    if len(shapes) > 1 or rows[0].ndim != 1:
        raise ValueError(f'{path}: each clip needs one score per class, but there are the shapes '
                         f"{sorted(shapes)}: set average_clips='prob' of the head")
    # float16 becomes float64
    limit = 2 * safe_pickle.MAX_GROWTH * os.path.getsize(path) + safe_pickle.ROOM
    if 8 * len(rows) * len(rows[0]) > limit:
        raise ValueError(f'{path}: the scores of {len(rows)} clips and {len(rows[0])} classes '
                         f'would take more than {limit} bytes: the clips share one tensor. If '
                         'you trust it, raise gaie_mmaction.utils.safe_pickle.MAX_GROWTH')
    scores = np.stack([row.detach().double().cpu().numpy() for row in rows])
    if broken := [ids[k] for k in np.flatnonzero(~np.isfinite(scores).all(axis=1))]:
        raise ValueError(f'{path}: the scores of {len(broken)} clips are not finite, e.g. '
                         f'{examples(broken)}')
    labels = np.array([_label(path, sample) for sample in samples])
    if labels.max() >= scores.shape[1]:
        raise ValueError(f'{path}: there are labels up to {labels.max()}, but scores of only '
                         f'{scores.shape[1]} classes')
    return Scores(path, ids, scores, labels)


def _tensor(path: str, sample: dict, key: str, allowed: tuple) -> torch.Tensor:
    value: Any = sample[key]
    if not isinstance(value, allowed):
        raise ValueError(f'{path}: {key} of clip {sample["clip_id"]} must be a tensor, but is a '
                         f'{type(value).__name__}')
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:  # text, an integer too large
        raise ValueError(f'{path}: {key} of clip {sample["clip_id"]} is not a number: {error}'
                         ) from error


def _scores(path: str, sample: dict) -> torch.Tensor:
    scores = _tensor(path, sample, 'pred_score', (torch.Tensor, np.ndarray))
    if scores.dtype not in FLOATS:
        raise ValueError(f'{path}: pred_score of clip {sample["clip_id"]} is {scores.dtype}, but '
                         'must be float32 (or float16, float64): cast it before it is dumped')
    return scores


def _label(path: str, sample: dict) -> int:
    label = _tensor(path, sample, 'gt_label', (torch.Tensor, np.ndarray, np.integer, int))
    if label.is_floating_point() or label.is_complex() or label.numel() != 1:
        raise ValueError(f'{path}: gt_label of clip {sample["clip_id"]} is {label.dtype} of shape '
                         f'{tuple(label.shape)}, but must be one integer')
    return int(label)


def match(streams: Sequence[Scores]) -> list[Scores]:
    """Sort the clips of all streams like those of the first, by id; they must be the same."""
    first, matched = streams[0], []
    for stream in streams:
        places = {clip_id: k for k, clip_id in enumerate(stream.ids)}
        missing, extra = compare_ids(first.ids, places)
        if missing or extra:
            parts = [f'{len(clips)} clips are only in {path}, e.g. {examples(clips)}'
                     for clips, path in ((missing, first.path), (extra, stream.path)) if clips]
            raise ValueError(f'{"; ".join(parts)}: test all networks on the same part')
        if stream.scores.shape[1] != first.scores.shape[1]:
            raise ValueError(f'{first.path} has {first.scores.shape[1]} classes, but {stream.path} '
                             f'has {stream.scores.shape[1]}')
        order = [places[clip_id] for clip_id in first.ids]
        labels = stream.labels[order]
        if clips := [first.ids[k] for k in np.flatnonzero(labels != first.labels)]:
            raise ValueError(f'{first.path} and {stream.path} have different labels for '
                             f'{len(clips)} clips, e.g. {examples(clips)}')
        matched.append(Scores(stream.path, first.ids, stream.scores[order], labels))
    return matched

"""Check clips before training: every one is opened and decoded."""
import os
from collections import Counter
from typing import NamedTuple

from mmengine.config import Config

from ..utils.parallel import in_parallel
from .annotations import read_annotations
from .imigue_classes import IMIGUE_CLASSES
from .video_file import VideoFile, VideoReadError
from .views import inner_dataset


class ClipSet(NamedTuple):
    """An annotation file, the folder of its videos, and the frames per clip that a model sees."""
    ann_file: str
    video_dir: str
    num_classes: int = len(IMIGUE_CLASSES)
    clip_len: int = 16
    trained: bool = False  # a classifier is trained on them, so that each needs a label


class Problem(NamedTuple):
    """What is wrong with a clip; short clips and repetitions with one label are usable."""
    clip_id: str
    reason: str
    unusable: bool = True


def find_clip_sets(cfg: Config, data_root: str | None = None) -> list[ClipSet]:
    """Clips that an RGB config trains, validates and tests with, in this order, each set once.

    Pretraining has the first ones alone. ``data_root`` replaces the datasets' own. A dataset that
    reads no videos is a ``ValueError``.
    """
    found = []
    for part in ('train', 'val', 'test'):
        if cfg.get(f'{part}_dataloader') is None:
            continue
        dataset = inner_dataset(cfg[f'{part}_dataloader'])
        if 'data_prefix' not in dataset:
            raise ValueError(f'{dataset["type"]} of {part}_dataloader reads no videos')
        root = dataset.get('data_root', '') if data_root is None else data_root
        length = next((step['clip_len'] for step in dataset['pipeline'] if 'clip_len' in step), 1)
        found.append(ClipSet(os.path.join(root, dataset['ann_file']),
                             os.path.join(root, dataset['data_prefix'].get('video', '')),
                             cfg.model.get('cls_head', {}).get('num_classes', len(IMIGUE_CLASSES)),
                             length['RGB'] if isinstance(length, dict) else length,
                             part == 'train' and 'cls_head' in cfg.model))
    return list(dict.fromkeys(found))


def check_clips(clips: ClipSet, workers: int = 1) -> tuple[Counter[int], list[Problem]]:
    """Open and decode every clip, with a progress bar.

    Returns the number of clips by label (-1: unlabelled), and problems in the order of the
    annotation file, whose own errors are those of `read_annotations`.
    """
    rows = read_annotations(clips.ann_file, 2**31)
    problems = _check_rows(rows, clips)
    jobs: dict[str, tuple[str, list[dict]]] = {}
    for row in rows:
        path = os.path.join(clips.video_dir, row['video'])
        jobs.setdefault(path, (path, []))[1].append(row)
    for path, reasons in in_parallel(_decode, jobs, workers, 'Decoding', 'clip',
                                     weight=lambda path: len(jobs[path][1])):
        for row, found in zip(jobs[path][1], reasons):
            if isinstance(found, str):
                problems.append(Problem(row['clip_id'], f'{path} cannot be read: {found}'))
            elif found < clips.clip_len:
                problems.append(Problem(row['clip_id'], f'has {found} frames: some will be '
                                        f'repeated to make {clips.clip_len}', unusable=False))
    place = {row['clip_id']: k for k, row in enumerate(rows)}
    return (Counter(row['label'] for row in rows),
            sorted(problems, key=lambda problem: place[problem.clip_id]))


def _check_rows(rows: list[dict], clips: ClipSet) -> list[Problem]:
    problems: list[Problem] = []
    first: dict[tuple, dict] = {}
    for row in rows:
        if row['label'] >= clips.num_classes:
            problems.append(Problem(row['clip_id'], f'label {row["label"]} is outside 0..'
                                    f'{clips.num_classes - 1}'))
        elif row['label'] < 0 and clips.trained:
            problems.append(Problem(row['clip_id'], 'has no label, but is to be trained with'))
        frames = os.path.normpath(row['video']), row['start_frame'], row['end_frame']
        other = first.setdefault(frames, row)
        if other is not row:
            differ = row['label'] != other['label']
            problems.append(Problem(
                row['clip_id'], f'the same frames as {other["clip_id"]}' + (
                    f', labelled {row["label"]} and {other["label"]}' if differ else ''), differ))
    return problems


def _decode(path: str, rows: list[dict]) -> list[str | int]:
    """For each clip of a video its number of frames, or why it cannot be read."""
    try:
        with VideoFile(path) as reader:
            return [_decode_range(reader, row['start_frame'], row['end_frame']) for row in rows]
    except VideoReadError as error:
        return [str(error)] * len(rows)


def _decode_range(reader: VideoFile, start: int, end: int) -> str | int:
    end = len(reader) - 1 if end == -1 else end
    if end >= len(reader):
        return f'its frames {start}..{end} are beyond the {len(reader)} of the video'
    try:
        return sum(1 for _ in reader.frames(range(start, end + 1)))
    except VideoReadError as error:
        return str(error)

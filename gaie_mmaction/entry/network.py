"""Configs, folders and clips of an entry's networks."""
import hashlib
import json
import os
import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..apis import build_recognizer, view_shape
from ..benchmark.complexity import measure_complexity
from ..datasets.annotations import examples, read_annotations, video_of
from ..datasets.imigue_pose_dataset import read_skeletons
from ..datasets.views import inner_dataset, parse_views, with_views
from ..policy import pretrained_weights
from .pseudo import add_pseudo_labels
from .spec import Entry, Stream

# what the weights do not depend on
UNTRAINED = re.compile('(val|test)_.*|tta|work_dir')


@dataclass(frozen=True)
class Network:
    """A stream's network that is trained on one part, and the scores that it gives of another.

    Attributes:
        stream (Stream): The stream.
        part (str): ``'holdout'`` or ``'test'``: what it is tested on.
        cfg (Config): Its config, complete.
        folder (Path): Folder of the training, named by all that the weights depend on.
        dump (Path): Scores of the part, named by all that they depend on.
    """
    stream: Stream
    part: str
    cfg: Config
    folder: Path
    dump: Path


def make_network(entry: Entry, stream: Stream, part: str, cfg: Config,
                 pseudo_labels: dict[str, int] | None = None) -> Network:
    """Complete the config of a stream, which is changed, for a part, and name its files.

    With ``pseudo_labels`` it is trained on these clips of the part, too.
    """
    cfg.merge_from_dict(stream.options)
    if 'cls_head' not in cfg.model:
        raise ValueError(f'stream {stream.name}: {stream.config} has no model.cls_head: give the '
                         'config of a classifier')
    for key, name in (('train', entry.trained_on[part]), ('val', entry.parts['holdout']),
                      ('test', entry.parts[part])):
        if cfg.get(f'{key}_dataloader'):
            _select(inner_dataset(cfg[f'{key}_dataloader']), name, entry.data_root)
    if pseudo_labels is not None:
        add_pseudo_labels(inner_dataset(cfg.train_dataloader), inner_dataset(cfg.test_dataloader),
                          pseudo_labels, entry.work_dir / stream.name)
    cfg.train_dataloader.persistent_workers = False  # StepSeedHook
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), dict(type='StepSeedHook')]
    randomness = cfg.get('randomness') or {}
    if randomness.get('seed') is None:
        cfg.randomness = dict(randomness, seed=0)
    cfg.test_evaluator = dict(type='MiGASubmission')
    # here and not by the test, so that the scores' name and the cost tell the views
    views = cfg.pop('tta', None)
    stream = replace(stream, tta=stream.tta or views)
    if stream.tta:
        cfg.test_dataloader = with_views(cfg.test_dataloader, stream.tta)
    content = cfg.to_dict()
    trained = {key: value for key, value in content.items() if not UNTRAINED.fullmatch(key)}
    sources = [cfg.get('load_from'), *(value for _, value in pretrained_weights('', cfg.model))]
    weights = stream.checkpoint and _hash_file(stream.checkpoint)
    key = _hash(weights or [trained, _hash_clips(cfg, 'train'), *map(_hash_file, sources)])
    folder = entry.work_dir / stream.name / key
    test = _hash([content['model'], content['test_dataloader'], _hash_clips(cfg, 'test')])
    return Network(stream, part, cfg, folder, folder / f'{entry.parts[part]}-{test}.pkl')


def _select(dataset: dict[str, Any], part: str, data_root: str | None) -> None:
    """Let a dataset read another part, by ``split`` of skeletons or by ``ann_file``."""
    stem, ending = os.path.splitext(dataset['ann_file'])
    if 'split' in dataset:
        dataset['split'] = part
    if ending != '.pkl':
        dataset['ann_file'] = os.path.join(os.path.dirname(stem), part + ending)
    if data_root is not None:
        dataset['data_root'] = data_root


def _ann_file(dataset: dict[str, Any]) -> str:
    return os.path.join(dataset.get('data_root') or '', dataset['ann_file'])


def read_labels(cfg: Config, key: str) -> dict[str, int]:
    """Label of each clip id of ``train``, ``val`` or ``test``; -1 where there is none."""
    dataset = inner_dataset(cfg[f'{key}_dataloader'])
    path = _ann_file(dataset)
    if not path.endswith('.pkl'):
        return {clip['clip_id']: clip['label'] for clip in read_annotations(path, 2**31)}
    # a missing file has no time, and its own error in the reader
    by_id, splits = _read_skeletons(path, os.path.isfile(path) and os.stat(path).st_mtime_ns)
    if dataset['split'] not in splits:
        raise ValueError(f'{path} has no split {dataset["split"]!r}, only {sorted(splits)}')
    if not splits[dataset['split']]:
        raise ValueError(f'{path} has no clip in the split {dataset["split"]!r}')
    return {clip_id: by_id[clip_id] for clip_id in splits[dataset['split']]}


def read_videos(cfg: Config, key: str) -> dict[str, str]:
    """Video of each clip id: by iMiGUE's ids, otherwise by a segment csv, otherwise the clip."""
    videos = {clip_id: video_of(clip_id) for clip_id in read_labels(cfg, key)}
    path = _ann_file(inner_dataset(cfg[f'{key}_dataloader']))
    if not path.endswith('.pkl'):
        videos |= {clip['clip_id']: clip['video'] for clip in read_annotations(path, 2**31)
                   if clip['end_frame'] != -1 and videos[clip['clip_id']] == clip['clip_id']}
    return videos


@cache
def _read_skeletons(path: str, modified: int) -> tuple[dict[str, int], dict[str, list[str]]]:
    by_id, splits = read_skeletons(path)
    return {clip_id: clip['label'] for clip_id, clip in by_id.items()}, splits


def find_problems(networks: list[Network]) -> list[str]:
    """What keeps an entry from running: unlike classes, missing files, streams that lack clips."""
    problems: list[str] = []
    first_of: dict[str, tuple[str, dict[str, int]]] = {}
    classes = {network.stream.name: network.cfg.model.cls_head.num_classes for network in networks}
    if len(set(classes.values())) > 1:
        problems.append('the streams have different numbers of classes: ' + ', '.join(
            f'{name} {number}' for name, number in classes.items()))
    for network in networks:
        name = f'stream {network.stream.name}'
        try:
            labels = read_labels(network.cfg, 'test')
            trained = {} if network.stream.checkpoint else read_labels(network.cfg, 'train')
        except (OSError, ValueError) as error:
            problems.append(f'{name}: {error}')
            continue
        if both := labels.keys() & trained.keys():
            problems.append(f'{name} is trained on {len(both)} clips of {network.part}, e.g. '
                            f'{min(both)}: parts must hold different clips')
        if network.part == 'holdout' and min(labels.values()) < 0:
            problems.append(f'{name}: the hold-out has clips without label (-1): nothing can be '
                            'fitted on them')
        other, expected = first_of.setdefault(network.part, (name, labels))
        for lacking, owner in ((expected.keys() - labels.keys(), name),
                               (labels.keys() - expected.keys(), other)):
            if lacking:
                problems.append(f'{owner} lacks {len(lacking)} clips of '
                                f'{network.part}, e.g. {examples(sorted(lacking))}: '
                                'every stream needs the same clips')
        if unlike := sorted(clip_id for clip_id in labels.keys() & expected.keys()
                            if labels[clip_id] != expected[clip_id]):
            problems.append(f'{other} and {name} have different labels for {len(unlike)} clips of '
                            f'{network.part}, e.g. {examples(unlike)}')
    return list(dict.fromkeys(problems))


@dataclass(frozen=True)
class Cost:
    """Cost of a network: multiply-adds of one view, views, parameters, and epochs."""
    macs: float | None  # None for networks of frames and skeletons
    views: int
    parameters: int | None
    epochs: int


def measure_cost(network: Network) -> Cost:
    """Count what a network costs, on no device."""
    cfg, macs, parameters = network.cfg, None, None
    sampler = next(step for step in inner_dataset(cfg.test_dataloader)['pipeline']
                   if 'clip_len' in step)
    if not isinstance(sampler['clip_len'], dict):
        cost = measure_complexity(build_recognizer(cfg, device='meta'), view_shape(cfg))
        macs, parameters = cost.true_macs, cost.parameters
    clips, crops, flip = parse_views(network.stream.tta or '1x1')
    views = (clips if network.stream.tta else sampler.get('num_clips', 1)) * crops * (1 + flip)
    return Cost(macs, views, parameters, cfg.train_cfg.max_epochs)


def count_clips(network: Network) -> int | None:
    """Clips that a network is trained on; None without its annotation file."""
    try:
        return len(read_labels(network.cfg, 'train'))
    except (OSError, ValueError):  # a dry run without data; a run was refused before
        return None


def _hash(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _hash_clips(cfg: Config, key: str) -> str:
    dataset = inner_dataset(cfg[f'{key}_dataloader'])
    files = [_ann_file(dataset)]
    if 'skeleton_file' in dataset:
        files.append(os.path.join(dataset.get('data_root') or '', dataset['skeleton_file']))
    return ' '.join([str(dataset.get('split')), *map(_hash_file, files)])


def _hash_file(path: object) -> str:
    """Content of a local file; a URL or a missing file stands for itself."""
    if not isinstance(path, str) or not os.path.isfile(path):
        return str(path)
    status = os.stat(path)
    return _hash_content(path, status.st_size, status.st_mtime_ns)


@cache
def _hash_content(path: str, size: int, modified: int) -> str:
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()

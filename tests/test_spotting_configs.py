"""Configs of spotting build, and the whole chain runs through mim."""
import csv

import numpy as np
import pytest
from launching import launch, test_command, train_command
from mmaction.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from test_configs import SPOTTING

from gaie_mmaction.datasets.segment_file import read_segments, write_segments
from gaie_mmaction.evaluation import spotting_f1

DETECTORS = [path for path in SPOTTING if 'windows' not in path]


@pytest.mark.parametrize('path', SPOTTING)
def test_builds(root, path):
    cfg = Config.fromfile(root / path)
    init_default_scope('mmaction')
    detects = path in DETECTORS
    if not detects:
        cfg.model.backbone.update(pretrained=None, embed_dims=24, num_heads=2)
        cfg.model.cls_head.in_channels = 24
    model = MODELS.build(cfg.model)
    assert (model.num_classes if detects else model.cls_head.num_classes) >= 13
    for part in ('train', 'val', 'test'):
        dataset = inner = cfg[f'{part}_dataloader'].dataset
        dataset.lazy_init = True
        while 'dataset' in inner:
            inner = inner.dataset
            inner.lazy_init = True
        if 'classes.txt' in str(inner.get('metainfo')):  # of the user's data
            inner.metainfo = dict(classes=[str(label) for label in range(33)])
        classes = DATASETS.build(dataset).metainfo['classes']
        assert len(classes) == (model.num_classes if detects else 33)


def write_part(folder, name, videos, seed):
    """Feature rows of videos in which each gesture lifts a channel of its own."""
    rng = np.random.default_rng(seed)
    rows, segments = [], []
    for video in videos:
        features, start = rng.normal(0, .3, (120, 96)), 5
        while start + 20 < 120:
            length, label = int(rng.integers(6, 14)), int(rng.integers(3))
            features[start:start + length, label] += 3
            segments.append((video, 6 * start, 6 * (start + length) - 1, label))
            start += length + int(rng.integers(5, 12))
        rows += [(video, 6 * step, 6 * step + 5, row) for step, row in enumerate(features)]
    columns = [np.array(column) for column in zip(*rows)]
    keys = ('videos', 'start_frames', 'end_frames', 'features')
    np.savez(folder / f'{name}.npz', **dict(zip(keys, columns)))
    write_segments(folder / f'{name}_segments.csv', segments)
    return segments


@pytest.mark.slow
def test_detector_through_mim(root, tmp_path):
    for seed, part in enumerate(('train', 'val', 'test')):
        true = write_part(tmp_path, part, [f'{part}{k}' for k in range(3)], seed)
    options = [f'{part}_dataloader.dataset.data_root={tmp_path}' for part in ('val', 'test')]
    options += [f'train_dataloader.dataset.dataset.data_root={tmp_path}',
                *(f'{part}_dataloader.num_workers=0' for part in ('train', 'val', 'test')),
                'train_dataloader.persistent_workers=False']
    config = root / 'configs/spotting/detector_demo.py'
    launch(train_command(config, '--work-dir', tmp_path / 'work', '--cfg-options', *options), root)
    output = launch(test_command(
        config, tmp_path / 'work/epoch_10.pth', '--work-dir', tmp_path / 'test', '--cfg-options',
        *options, f'test_evaluator.out_file={tmp_path}/segments.csv',
        f'test_evaluator.out_dir={tmp_path}'), root)
    found = [row for row in read_segments(tmp_path / 'segments.csv') if row[4] >= .3]
    f1 = spotting_f1(found, true)['f1']
    assert f1 > .8 and 'spotting/f1' in output
    curve = list(csv.DictReader(open(tmp_path / 'f1_curve.csv')))
    assert max(float(row['f1']) for row in curve) >= f1 - 1e-6

"""An entry with real networks, killed at random moments."""
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import yaml
from entry_report import assert_report
from launching import ROOT

from gaie_mmaction.release.flow import make_flow
from gaie_mmaction.synthetic.dataset import draw_dataset

SMALL = {'train_cfg.max_epochs': 3, 'default_hooks.checkpoint.interval': 1}
VIT = {**SMALL, 'model.backbone.embed_dims': 24, 'model.cls_head.in_channels': 24,
       'model.backbone.depth': 4, 'model.backbone.merge_layers': [1, 2]}


@pytest.fixture
def start(tmp_path):
    """Starts the entry with a work folder of that name, in a process group of its own."""
    data = tmp_path / 'data'
    draw_dataset(data, subjects=dict(train=4, validate=2, test=2))
    make_flow([f'{data}/trainval.csv', f'{data}/test.csv'], data / 'videos', data / 'flow', 2)

    def start(name):
        streams = [dict(name=stream, config=f'configs/demo/{config}_demo.py', options=options)
                   for stream, config, options in (
                       ('rgb', 'gaie', VIT), ('taylor', 'taylor', VIT), ('flow', 'flow', VIT),
                       ('joint', 'stgcn', SMALL))]
        path = tmp_path / f'{name}.yaml'
        path.write_text(yaml.safe_dump(dict(
            work_dir=str(tmp_path / name), data_root=str(data), calibrate=False, streams=streams,
            parts=dict(train='train', holdout='val', test='test'))))
        with open(tmp_path / f'{name}.log', 'a') as log:
            return subprocess.Popen(
                [sys.executable, 'tools/entry.py', path], cwd=ROOT, stdout=log, stderr=log,
                start_new_session=True, env=dict(os.environ, OMP_NUM_THREADS='1'))

    return start


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_killed_at_random_moments_it_ends_alike(tmp_path, start):
    started = time.monotonic()
    assert start('unbroken').wait() == 0, (tmp_path / 'unbroken.log').read_text()[-3000:]
    whole = time.monotonic() - started
    assert_report(tmp_path / 'unbroken', ('rgb', 'taylor', 'flow', 'joint'), 'probabilities')
    rng, kills = random.Random(0), 0
    while kills < 5:
        process = start('killed')
        try:
            process.wait(rng.uniform(.02, .2) * whole)
            break  # the machine is less busy than it was
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
            kills += 1
    assert kills >= 3
    assert start('killed').wait() == 0, (tmp_path / 'killed.log').read_text()[-3000:]
    expected, found = ((tmp_path / name / 'prediction.csv').read_bytes()
                       for name in ('unbroken', 'killed'))
    assert found == expected
    for name in ('fused', 'pairs', 'confidence'):  # to the last digit of the scores
        assert (tmp_path / f'killed/{name}.csv').read_bytes() == (
            tmp_path / f'unbroken/{name}.csv').read_bytes()

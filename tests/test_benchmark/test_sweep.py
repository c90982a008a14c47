"""Sweeps of speed, and the parts of a forward pass, with clocks that are known."""
import csv
import math
import re
import time
from pathlib import Path

import benchmark
import pytest
import torch
from gaie_mmaction.benchmark.sweep import Measured, Point, build_entry
from mmengine.config import Config

from gaie_mmaction.benchmark import (
    Conditions,
    Entry,
    Timing,
    all_points,
    break_down,
    draw_sweep,
    growth_exponents,
    measure_complexity,
    sweep_table,
)
from gaie_mmaction.benchmark.breakdown import PARTS
from gaie_mmaction.benchmark.comparison import Row
from gaie_mmaction.benchmark.complexity import Complexity
from gaie_mmaction.models import GAIEVisionTransformer

ROOT = Path(__file__).parents[2]
CPU = torch.device('cpu')
CONDITIONS = Conditions(CPU, 'float32', 1, 3, 1, False)
CONFIG = """
_base_ = '{root}/configs/demo/{name}.py'
model = dict(backbone=dict(embed_dims=24, num_heads=2, depth=2{neck}),
             cls_head=dict(in_channels=24))
"""


@pytest.fixture(scope='module')
def configs(tmp_path_factory):
    folder = tmp_path_factory.mktemp('sweep')
    for name, neck in (('vivit_demo', ''), ('gaie_demo', ', merge_layers=(0, )')):
        (folder / f'{name}.py').write_text(CONFIG.format(root=ROOT, name=name, neck=neck))
    return [str(folder / 'vivit_demo.py'), str(folder / 'gaie_demo.py')]


def make_row(macs, seconds, training=None):
    cost = Complexity((3, 4, 32, 32), macs, macs, 7, {}, {})
    return Row(cost, Timing(seconds), 2**20, training and Timing(training), 2**21)


def test_points_are_all_combinations():
    points = all_points([1, 8], ['float32'], [None], [224, 320], [.5, .7])
    assert [(p.batch_size, p.size, p.ratio) for p in points] == [
        (b, s, r) for b in (1, 8) for s in (224, 320) for r in (.5, .7)]
    assert str(points[-1]) == 'batch 8, float32, 320 px, ratio 0.7'


def test_a_point_changes_the_model(configs):
    plain, gaie = (build_entry('x', config, Point(1, 'float32', 8, 64, .5), CONDITIONS)
                   for config in configs)
    for entry in (plain, gaie):
        assert entry.shape == (3, 8, 64, 64)
        assert entry.model.backbone.grid_size == (2, 4, 4)
        assert measure_complexity(entry.model, entry.shape).true_macs > 0
    assert gaie.model.backbone.neck.token_keep_ratio == .5 and plain.model.backbone.neck is None
    own = build_entry('x', configs[1], Point(1, 'float32'), CONDITIONS)
    assert own.model.backbone.neck.token_keep_ratio == .7 and own.shape[1:] == (16, 96, 96)


def test_table_sets_speed_beside_arithmetic():
    first = make_row(300, (3., 3.), (9., 9.))
    second = make_row(200, (2.5, 2.5), (6., 6.))
    entry = Entry('m', 'm.py', None, Config(), None, (3, 4, 32, 32))
    point = Point(2, 'float32')
    table = sweep_table([Measured(point, entry, first, first),
                         Measured(point, entry, second, first)])
    cells = dict(zip(table.columns, table.rows[1]))
    assert cells['speed'] == '1.200' and cells['by arithmetic'] == '1.500'
    assert cells['reached'] == '0.800'
    assert cells['train speed'] == '1.500' and cells['train reached'] == '1.000'
    assert cells['memory'] == '1.000' and cells['ms'] == '2500.00' and cells['batch'] == '2'


def test_exponent_of_known_growth():
    measured = []
    for frames in (4, 8, 16):
        row = make_row(1, (3e-3 * frames**1.5, ))
        measured.append(Measured(Point(1, 'float32', frames),
                                 Entry('m', 'm.py', None, Config(), None, (3, frames, 32, 32)),
                                 row, row))
    assert growth_exponents(measured)['m'] == pytest.approx(1.5)
    assert growth_exponents(measured[:1]) == {}


def test_parts_of_each_block(monkeypatch):
    """Parts that sleep for a known time are found with that time, in their block."""
    neck = dict(type='GAIENeck', token_keep_ratio=.5)
    model = GAIEVisionTransformer(img_size=16, patch_size=8, embed_dims=8, depth=2, num_heads=1,
                                  num_frames=2, neck=neck, merge_layers=(1, )).eval()
    x = torch.randn(1, 3, 2, 16, 16)
    from gaie_mmaction.models.necks import gaie_neck
    originals = {'match': gaie_neck.match_tokens, 'merge': gaie_neck.merge_tokens}
    attend, transform = model.blocks[1].attn.forward, model.blocks[0].mlp.forward

    def slow(function, seconds):
        def run(*args, **kwargs):
            time.sleep(seconds)
            return function(*args, **kwargs)
        return run

    def slow_with_importance(x, size=None, needs_importance=False, *args):
        time.sleep(.05 if needs_importance else .02)
        return attend(x, size, needs_importance, *args)

    monkeypatch.setattr(gaie_neck, 'match_tokens', slow(originals['match'], .04))
    monkeypatch.setattr(gaie_neck, 'merge_tokens', slow(originals['merge'], .06))
    monkeypatch.setattr(model.blocks[1].attn, 'forward', slow_with_importance)
    monkeypatch.setattr(model.blocks[0].mlp, 'forward', slow(transform, .07))
    with torch.no_grad():
        expected = model(x)
        first, second = break_down(model, lambda: model(x), CPU, rounds=3, warmup=1)
        assert torch.equal(model(x), expected)  # and nothing is left behind
    assert gaie_neck.match_tokens is not originals['match']  # the slow one is back
    expected = (dict(MLP=.07), dict(attention=.02, importance=.03, matching=.04, merging=.06))
    for parts, known in zip((first, second), expected):
        for part in PARTS:
            assert parts[part] == pytest.approx(known.get(part, 0), abs=.015), part


def test_only_our_blocks_are_broken_down():
    with pytest.raises(ValueError, match='the backbone is a Linear'):
        break_down(torch.nn.Linear(2, 2), lambda: None, CPU, 1, 0)


def test_picture(tmp_path):
    rows = make_row(300, (3., ), (9., )), make_row(200, (2., ), (6., ))
    measured = [Measured(Point(batch, 'float32'),
                         Entry(name, 'm.py', None, Config(), None, (3, 4, 32, 32)), row, rows[0])
                for batch in (1, 2) for name, row in zip(('plain', 'GAIE'), rows)]
    draw_sweep(tmp_path / 'a.png', measured, 'somewhere')
    assert (tmp_path / 'a.png').read_bytes()[:4] == b'\x89PNG'


def test_the_tool(configs, tmp_path, capsys):
    common = [*configs, '--rounds', '1', '--warmup', '1', '--out', str(tmp_path)]
    benchmark.main([*common, '--frames', '4', '8', '--train', 'gradients', '--threads',
                    str(torch.get_num_threads())])
    table = next(tmp_path.glob('speed-cpu*.csv'))
    rows = list(csv.DictReader(table.open()))
    assert [row['view'] for row in rows] == ['4x96x96'] * 2 + ['8x96x96'] * 2
    assert [float(row['by arithmetic']) > 1 for row in rows] == [False, True] * 2
    assert all(float(row['train ms']) > 0 and row['torch'] == torch.__version__ for row in rows)
    assert table.with_suffix('.png').exists()
    out = capsys.readouterr().out
    assert 'time grows as tokens^' in out and 'command: python tools/analysis/benchmark.py' in out
    benchmark.main([*common, '--breakdown'])
    rows = list(csv.DictReader(next(tmp_path.glob('speed-blocks-*.csv')).open()))
    assert [row['block'] for row in rows] == ['1', '2', 'all'] * 2
    assert math.isclose(sum(float(row['MLP']) for row in rows[:2]), float(rows[2]['MLP']),
                        abs_tol=.02)


@pytest.mark.parametrize('arguments, message', [
    (['none.py'], 'config none.py does not exist'),
    (['--ratios', '1.5'], r'must be in \(0, 1\], but got 1.5'),
    (['--batch-sizes', '0'], 'must be at least 1, but got 0'),
])
def test_wrong_arguments(configs, arguments, message, capsys):
    with pytest.raises(SystemExit):
        benchmark.main([*configs, *arguments])

    assert re.search(message, capsys.readouterr().err)

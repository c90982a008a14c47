"""Tables, notes and pictures of comparisons with known times, and the parts of a forward pass."""
import io
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from launching import ROOT
from matplotlib.image import imread
from rich.console import Console

from gaie_mmaction import benchmark
from gaie_mmaction.benchmark import Conditions, Point, Result, Timing, breakdown
from gaie_mmaction.benchmark.breakdown import PARTS
from gaie_mmaction.benchmark.complexity import Complexity
from gaie_mmaction.benchmark.published import ACCURACIES, COSTS
from gaie_mmaction.models import GAIEVisionTransformer
from gaie_mmaction.models.necks import gaie_neck, token_reducer

CPU = torch.device('cpu')
METRICS = {'acc/top1': .5, 'acc/top5': 1., 'acc/mean1': .25}
BATCH_2 = Point(2)
NOISE = (1., 5., 2.)  # of three rounds


def make_result(name, seconds, macs=2e9, metrics=None, point=BATCH_2, frames=16, train=4):
    """Three noisy rounds; a training step takes ``train`` times as long."""
    cost = Complexity((3, frames, 8, 8), macs, macs / 2, 3_000_000, {}, {})
    times = [Timing(tuple(factor * seconds * n for n in NOISE)) for factor in (1, train)]
    return Result(name, f'configs/{name}.py', None, point, (3, frames, 8, 8), metrics, 'a note',
                  cost, times[0], 3 * 2**20, *((times[1], 2**20) if train else ()))


@pytest.fixture
def results():
    return [make_result('vivit_vitb_imigue', .4, macs=3e9),
            make_result('gaie_vitb_imigue', .25, metrics=METRICS)]


def test_arithmetic_of_the_table(results):
    first, second = benchmark.comparison_table(results).to_dict('records')
    assert second == {
        'model': 'gaie_vitb_imigue', 'batch': '2', 'dtype': 'float32', 'view': '16x8x8',
        'Top-1 %': '50.00', 'Top-5 %': '100.00', 'mean class %': '25.00', 'params M': '3.000',
        'GMACs true': '2.000', 'GMACs paper': '1.000', 'clips/s': '4.00', 'by arithmetic': '1.500',
        'ms': '500.00', 'IQR ms': '500.00', 'speed': '1.600', 'reached': '1.067',
        'peak MiB': '3.0', 'memory': '1.000', 'train ms': '2000.00', 'train IQR ms': '2000.00',
        'train speed': '1.600', 'train reached': '1.067', 'train peak MiB': '1.0',
        'train memory': '1.000'}
    assert first['Top-1 %'] == '-' and first['speed'] == first['train speed'] == '1.000'


def test_ratios_are_to_the_first_model_at_the_same_point():
    results = [make_result(name, seconds * batch, point=Point(batch, ratio=.5), train=0)
               for batch in (1, 8) for name, seconds in (('a', .3), ('b', .1))]
    table = benchmark.comparison_table(results)
    assert table.speed.tolist() == ['1.000', '3.000'] * 2
    assert table.batch.tolist() == ['1', '1', '8', '8'] and table.ratio.tolist() == ['0.5'] * 4
    assert 'Top-1 %' not in table and 'train ms' not in table  # nothing to say
    assert str(results[-1].point) == 'batch 8, float32, ratio 0.5'
    assert str(Point(view=(8, 64, 32))) == 'batch 1, float32, 8 frames, 64x32'


def test_exponent_of_known_growth():
    results = [make_result('m', 3e-3 * frames**1.5, frames=frames, point=Point(
        view=(frames, None, None))) for frames in (4, 8, 16)]
    assert benchmark.growth_exponents(results) == {'m': pytest.approx(1.5)}
    assert benchmark.growth_exponents(results[:1]) == {}
    other = make_result('m', 1., frames=32, point=Point(4, view=(32, None, None)))
    assert benchmark.growth_exponents([*results, other]) == {}  # the batch differs too


def test_notes_say_how_it_was_measured(results):
    conditions = Conditions(CPU, rounds=3, warmup=1, train='step')
    text = '\n'.join(benchmark.table_notes(results, conditions))
    for part in ('median of 3 rounds after 1 not', 'and optimizer step', 'profiler trace',
                 f'torch {torch.__version__}', 'a note (vivit_vitb_imigue, gaie_vitb_imigue)'):
        assert part in text
    assert 'autocast' not in text
    results = [make_result('a', 1., point=Point(dtype='bfloat16'))]
    text = '\n'.join(benchmark.table_notes(results, Conditions(CPU, train='gradients')))
    assert 'autocast' in text and 'without the optimizer' in text


def test_ours_beside_the_published(results):
    """A measured column never holds a published figure, and the other way round."""
    table2, table3 = benchmark.published_tables(results, Conditions(CPU)).values()
    ours = dict(zip(table2.system, table2['our Top-1 %']))
    assert ours['GAIE'] == '50.00' and ours['ViViT'] == ours['M2HEN'] == '-'
    assert table3.iloc[1].tolist() == ['GAIE', '65.820 (published)', '1.000', '2.000',
                                       '13.74 (published)', '500.00', 'GAIE paper, Table 3']
    for table in (table2, table3):
        for column in table:
            assert table[column].str.endswith(' (published)').all() == column.startswith('pub')
            assert table[column].str.contains('published').any() == column.startswith('pub')
    for *_, config in (*ACCURACIES, *COSTS):
        assert config is None or (ROOT / f'configs/{config}.py').is_file()


@pytest.mark.parametrize('configs, checkpoints, names', [
    (['a/x.py', 'y.py', 'b/x.py'], [None, None, 'w/e1.pth'], ['x (no checkpoint)', 'y', 'x (e1)']),
    (['x.py', 'x.py'], ['a/e1.pth', 'b/e1.pth'], ['x (e1) #1', 'x (e1) #2'])])
def test_unique_names(configs, checkpoints, names):
    assert benchmark.unique_names(configs, checkpoints) == names


def test_table_in_a_narrow_terminal(results):
    """It comes in pieces, each with the names, and without a cell cut short."""
    table = benchmark.comparison_table(results)
    console = Console(width=80, file=io.StringIO())
    benchmark.print_table(table, 'A [title]', console)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= 80 and '…' not in text and 'A [title]' in text
    assert text.count('│ gaie_vitb_imigue ') >= 3
    cells = [cell for line in text.splitlines() if '│ gaie_vitb_imigue ' in line
             for cell in map(str.strip, line.strip('│').split('│')) if cell != 'gaie_vitb_imigue']
    assert cells == table.iloc[1].tolist()[1:]


def test_markdown():
    frame = pd.DataFrame({'model': ['a|b'], 'x': ['1.5'], 'y': ['-'], 'z': ['1 to 2']})
    assert benchmark.to_markdown(frame).splitlines() == [
        '| model | x | y | z |', '| --- | --: | --: | --- |', '| a\\|b | 1.5 | - | 1 to 2 |']


@pytest.mark.parametrize('metrics, width', [(METRICS, 1800), (None, 900)])
def test_a_panel_for_each_measure_that_there_is(tmp_path, metrics, width):
    results = [make_result(f'm{k}', .1 * (1 + k), metrics=None if k else metrics)
               for k in range(14)]
    benchmark.draw_tradeoff(tmp_path / 'a.png', results, 'title')
    assert imread(tmp_path / 'a.png').shape == (675, width, 4)
    results = [make_result(name, seconds, point=Point(batch))
               for batch in (1, 2) for name, seconds in (('plain', 3.), ('GAIE', 2.))]
    benchmark.draw_sweep(tmp_path / 'b.png', results, 'somewhere')
    assert imread(tmp_path / 'b.png').shape[1] == 1500  # inference and training


# --- models -----------------------------------------------------------------------------------


@pytest.mark.parametrize('view, shape, grid', [
    ((8, 64, 64), (3, 8, 64, 64), (2, 4, 4)), ((8, None, None), (3, 8, 96, 96), (2, 6, 6)),
    ((None, ) * 3, (3, 16, 96, 96), (4, 6, 6))])
@pytest.mark.parametrize('name', ['vivit_demo', 'gaie_demo'])
def test_a_point_changes_the_model(root, name, view, shape, grid):
    options = dict(model=dict(backbone=dict(embed_dims=24, num_heads=2, depth=2, merge_layers=(0,)),
                              cls_head=dict(in_channels=24)))
    cfg, model, own = benchmark.build_model((str(root / f'configs/demo/{name}.py'), None),
                                  Point(view=view, ratio=.5), options)
    assert own == shape and model.backbone.grid_size == grid
    assert benchmark.measure_complexity(model, own).true_macs > 0
    if name == 'gaie_demo':
        assert model.backbone.neck.token_keep_ratio == .5
    else:
        assert model.backbone.neck is None


def test_parts_of_each_block(monkeypatch):
    """Parts that take a known time, on a clock of our own, are found with it, in their block."""
    neck = dict(type='GAIENeck', token_keep_ratio=.5)
    model = GAIEVisionTransformer(img_size=16, patch_size=8, embed_dims=8, depth=2, num_heads=1,
                                  num_frames=2, neck=neck, merge_layers=(1, )).eval()
    x = torch.randn(1, 3, 2, 16, 16)
    match = gaie_neck.match_tokens
    attend, transform = model.blocks[1].attn.forward, model.blocks[0].mlp.forward

    now = [0.]
    monkeypatch.setattr(breakdown, 'time', SimpleNamespace(perf_counter=lambda: now[0]))

    def slow(function, seconds):
        def run(*args, **kwargs):
            now[0] += seconds
            return function(*args, **kwargs)
        return run

    def slow_with_importance(x, attending, *args):
        now[0] += .05 if attending.keywords['needs_importance'] else .02
        return attend(x, attending, *args)

    monkeypatch.setattr(gaie_neck, 'match_tokens', slow(match, .04))
    monkeypatch.setattr(token_reducer, 'merge_tokens', slow(token_reducer.merge_tokens, .06))
    monkeypatch.setattr(model.blocks[1].attn, 'forward', slow_with_importance)
    monkeypatch.setattr(model.blocks[0].mlp, 'forward', slow(transform, .07))
    with torch.no_grad():
        expected = model(x)
        first, second = benchmark.break_down(model, lambda: model(x), CPU, rounds=3, warmup=1)
        assert torch.equal(model(x), expected)  # and nothing is left behind
    assert gaie_neck.match_tokens is not match  # the slow one is back
    assert 'forward' not in vars(model.blocks[0].attn)
    expected = (dict(MLP=.07), dict(attention=.02, importance=.03, matching=.04, merging=.06))
    for parts, known in zip((first, second), expected):
        for part in PARTS:
            assert parts[part] == pytest.approx(known.get(part, 0), abs=1e-9), part


def test_only_our_blocks_are_broken_down():
    with pytest.raises(ValueError, match='the backbone is a Linear'):
        benchmark.break_down(torch.nn.Linear(2, 2), lambda: None, CPU, 1, 0)

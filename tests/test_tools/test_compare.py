"""tools/analysis/compare.py: its table in all forms, against the other tools."""
import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import compare
import get_flops
import pytest
import torch
from mmaction.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner
from numbered_video import write_video

from gaie_mmaction.benchmark import (
    Conditions,
    Entry,
    Timing,
    build_recognizer,
    comparison_table,
    published_tables,
    unique_names,
)
from gaie_mmaction.benchmark.comparison import Row
from gaie_mmaction.benchmark.complexity import Complexity
from gaie_mmaction.benchmark.published import ACCURACIES, COSTS

ROOT = Path(__file__).parents[2]
CONFIG = """
_base_ = '{root}/configs/demo/{name}.py'
model = dict(backbone=dict(embed_dims=24, num_heads=2, depth=2{neck}),
             cls_head=dict(in_channels=24))
test_dataloader = dict(batch_size=2, num_workers=0,
                       dataset=dict(data_root='{data}', data_prefix=dict(video='')))
test_evaluator = dict(out_file='{data}/prediction.csv')
"""
NUM_CLIPS = 8


def write_part(folder, name, labels):
    rows = ''.join(f'0054_{k},0054.mp4,{12 * k},{12 * k + 30},{label}\n'
                   for k, label in enumerate(labels))
    (folder / name).write_text(f'clip_id,video,start_frame,end_frame,label\n{rows}')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Two configs, a checkpoint that is right on every second clip, and clips without labels."""
    folder = tmp_path_factory.mktemp('compare')
    write_video(folder / '0054.mp4', 128)
    for name, neck in (('gaie_demo', ', merge_layers=(0, )'), ('vivit_demo', '')):
        (folder / f'{name}.py').write_text(CONFIG.format(root=ROOT, data=folder, name=name,
                                                         neck=neck))
    write_part(folder, 'test.csv', [-1] * NUM_CLIPS)
    cfg = Config.fromfile(folder / 'gaie_demo.py')
    torch.manual_seed(0)
    model = build_recognizer(cfg)
    torch.nn.init.normal_(model.cls_head.fc_cls.weight, std=3)  # so that the classes differ
    torch.save(dict(state_dict=model.state_dict()), folder / 'epoch_1.pth')
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    with torch.no_grad():
        results = [model.test_step(pseudo_collate([dataset[k]]))[0] for k in range(NUM_CLIPS)]
    best = [int(result.pred_score.argmax()) for result in results]
    write_part(folder, 'labelled.csv', [(label + k % 2) % 32 for k, label in enumerate(best)])
    return folder


def run(capsys, folder, *arguments):
    """Printed text, and the paths that were written, by their ends."""
    compare.main([*map(str, arguments), '--out', str(folder), '--device', 'cpu', '--warmup', '1'])
    text = capsys.readouterr().out
    paths = re.search(r'written: (.*)', text)[1].split(', ')
    return text, [Path(path) for path in paths]


def read_csv(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def read_markdown(path):
    """Tables by their order: rows as dicts."""
    tables, head = [], None
    for line in path.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip('|').split(' | ')]
        if not line.startswith('|'):
            head = None
        elif head is None:
            head = cells
            tables.append([])
        elif not set(line) <= set('|- :'):
            tables[-1].append(dict(zip(head, cells, strict=True)))
    return tables


@pytest.fixture(scope='module')
def result(folder, tmp_path_factory):
    """Both configs, one with a checkpoint and labels."""
    out = tmp_path_factory.mktemp('out')
    process = subprocess.run(
        [sys.executable, ROOT / 'tools/analysis/compare.py', folder / 'vivit_demo.py',
         f'{folder}/gaie_demo.py:{folder}/epoch_1.pth', '--ann-file', 'labelled.csv', '--rounds',
         '3', '--threads', '1', '--device', 'cpu', '--tables', '--out', out],
        cwd=folder, capture_output=True, text=True, env=dict(os.environ, COLUMNS='300'))
    assert process.returncode == 0, process.stderr[-3000:]
    release = '.'.join(torch.__version__.split('.')[:2])
    return process.stdout, out / f'compare-infer-fp32-cpu1-torch{release}'


def test_accuracy_is_mim_tests(folder, result):
    rows = {row['model']: row for row in read_csv(result[1].with_name(f'{result[1].name}.csv'))}
    cfg = Config.fromfile(folder / 'gaie_demo.py')
    cfg.test_dataloader.dataset.ann_file = 'labelled.csv'
    cfg.update(work_dir=str(folder / 'work'), load_from=str(folder / 'epoch_1.pth'))
    metrics = Runner.from_cfg(cfg).test()  # as `mim test` does
    assert metrics['acc/top1'] == .5  # of the plain loop in the fixture
    (folder / 'prediction.csv').unlink()
    found = [rows['gaie_demo'][column] for column in ('Top-1 %', 'Top-5 %', 'mean class %')]
    assert found == [f'{100 * metrics[f"acc/{key}"]:.2f}' for key in ('top1', 'top5', 'mean1')]
    assert rows['vivit_demo']['Top-1 %'] == '-'


def test_no_leaderboard_file_is_written(folder, result):
    assert result[1].with_name(f'{result[1].name}.csv').exists()
    assert not (folder / 'prediction.csv').exists()


def test_costs_are_get_flops(folder, result, capsys, monkeypatch):
    rows = read_csv(result[1].with_name(f'{result[1].name}.csv'))
    monkeypatch.setattr(sys, 'argv', ['get_flops.py', str(folder / 'gaie_demo.py')])
    get_flops.main()
    text = capsys.readouterr().out
    true, paper, parameters = re.findall(r'^(?:true|paper|parameters).*: *([\d.]+) ', text, re.M)
    assert (rows[1]['GMACs true'], rows[1]['GMACs paper'], rows[1]['params M']) == (
        true, paper, parameters)


def test_all_forms_hold_the_same(result):
    text, stem = result
    rows, (table, table2, table3) = read_csv(stem.with_name(f'{stem.name}.csv')), read_markdown(
        stem.with_name(f'{stem.name}.md'))
    assert [row['model'] for row in rows] == ['vivit_demo', 'gaie_demo']
    for row, line in zip(rows, table, strict=True):
        assert {column: row[column] for column in line} == line
        cells = [cell.strip() for cell in
                 re.search(rf'^│ {row["model"]} .*$', text, re.M)[0].strip('│').split('│')]
        assert cells == list(line.values())
        assert (row['dtype'], row['batch'], row['threads'], row['rounds']) == (
            'float32', '1', '1', '3')
        assert row['torch'] == torch.__version__ and row['device'].startswith('CPU, ')
    for number, expected in ((2, table2), (3, table3)):
        assert read_csv(stem.with_name(f'{stem.name}-table{number}.csv')) == expected
    assert stem.with_name(f'{stem.name}.png').read_bytes().startswith(b'\x89PNG')
    for line in stem.with_name(f'{stem.name}.md').read_text().splitlines():
        if line.startswith('- '):
            assert line[2:] in text
    for word in ('float32', 'batch 1', 'threads 1', 'torch 2', 'mmaction2 1.2', '8 clips of'):
        assert word in text


def test_published_figures_are_marked_everywhere(result):
    text, stem = result
    figures = {row.top1 for row in ACCURACIES} | {row.gmacs for row in COSTS} | {
        row.latency for row in COSTS}
    assert {'68.70', '67.84', '65.820', '101.848', '21.96', '13.74'} <= figures
    written = [text, *(stem.with_name(f'{stem.name}{end}').read_text()
                       for end in ('.md', '-table2.csv', '-table3.csv'))]
    for content in written:
        for figure in figures:
            assert not re.search(rf'(?<![\d.]){figure}(?![\d.]| \(published\))', content)
    for figure in figures:
        assert sum(f'{figure} (published)' in content for content in written) == 3
    assert 'published)' not in stem.with_name(f'{stem.name}.csv').read_text()


def make_rows():
    cost = Complexity((3, 16, 8, 8), 2e9, 1e9, 3_000_000, {}, {})
    noise = (1., 5., 2.)
    return [Row(cost, Timing(tuple(seconds * n for n in noise)), 3 * 2**20,
                Timing(tuple(4 * seconds * n for n in noise)), 2**20) for seconds in (.4, .25)]


def make_entries():
    return [Entry(name, f'configs/{name}.py', None, None, None, (3, 16, 8, 8), metrics)
            for name, metrics in (('vivit_vitb_imigue', None),
                                  ('gaie_vitb_imigue',
                                   {'acc/top1': .5, 'acc/top5': 1., 'acc/mean1': .25}))]


CONDITIONS = Conditions(torch.device('cpu'), 'float32', 2, 3, 1, True)


def test_arithmetic_of_the_table():
    table = comparison_table(make_entries(), make_rows(), CONDITIONS)
    first, second = (dict(zip(table.columns, row)) for row in table.rows)
    assert second == {
        'model': 'gaie_vitb_imigue', 'view': '16x8x8', 'Top-1 %': '50.00', 'Top-5 %': '100.00',
        'mean class %': '25.00', 'params M': '3.000', 'GMACs true': '2.000',
        'GMACs paper': '1.000', 'latency ms': '500.00', 'IQR ms': '500.00', 'clips/s': '4.00',
        'speed': '1.60x', 'peak MiB': '3.0', 'train ms': '2000.00', 'train IQR ms': '2000.00',
        'train speed': '1.60x', 'train peak MiB': '1.0'}
    assert first['Top-1 %'] == '-' and first['speed'] == first['train speed'] == '1.00x'


def test_ours_beside_the_published():
    """A measured column never holds a published figure, and the other way round."""
    table2, table3 = published_tables(make_entries(), make_rows(), CONDITIONS)
    ours = {row[0]: row[3] for row in table2.rows}
    assert ours['GAIE'] == '50.00' and ours['ViViT'] == ours['M2HEN'] == '-'
    assert table3.rows[1] == ('GAIE', '65.820 (published)', '1.000', '2.000',
                              '13.74 (published)', '500.00', 'GAIE paper, Table 3')
    for table in (table2, table3):
        for column, cells in zip(table.columns, zip(*table.rows)):
            if column.startswith('published'):
                assert all(cell.endswith(' (published)') for cell in cells)
            else:
                assert not any('published' in cell for cell in cells)


def test_published_rows_name_configs_that_are_there():
    for row in (*ACCURACIES, *COSTS):
        assert row.config is None or (ROOT / f'configs/{row.config}.py').is_file()


def test_unique_names():
    assert unique_names(['a/x.py', 'y.py', 'b/x.py'], [None, None, 'w/e1.pth']) == [
        'x (no checkpoint)', 'y', 'x (e1)']
    assert unique_names(['x.py', 'x.py'], ['a/e1.pth', 'b/e1.pth']) == ['x (e1) #1', 'x (e1) #2']


def test_without_training_in_bfloat16(folder, tmp_path, capsys):
    """A checkpoint on unlabelled clips has no accuracy, and the table says why."""
    text, paths = run(capsys, tmp_path, f'{folder}/gaie_demo.py:{folder}/epoch_1.pth',
                      '--no-train', '--dtype', 'bfloat16', '--batch-size', 2, '--rounds', 1,
                      '--threads', 1)
    row, = read_csv(paths[0])
    assert paths[0].name.startswith('compare-infer-bf16-batch2-cpu1-torch')
    assert row['Top-1 %'] == '-' and 'train ms' not in row and row['dtype'] == 'bfloat16'
    flat = ' '.join(text.split())
    assert 'autocast' in flat and 'test.csv has no labels, see --ann-file (gaie_demo)' in flat


def test_narrow_terminal(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(compare.console, '_width', 80)
    text, _ = run(capsys, tmp_path, f'{folder}/gaie_demo.py', '--no-train', '--rounds', 1)
    assert max(len(line) for line in text.splitlines() if '│' in line) <= 80
    assert text.count('│ gaie_demo ') == 2 and '…' not in text


def fail(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        compare.main([str(argument) for argument in arguments])
    return capsys.readouterr().err if end.value.code == 2 else end.value.code


def test_errors(folder, tmp_path, capsys):
    gaie, checkpoint = f'{folder}/gaie_demo.py', f'{folder}/epoch_1.pth'
    assert 'config configs/none.py does not exist' in fail(capsys, 'configs/none.py:a.pth')
    assert 'give at least one CONFIG, or --ablation' in fail(capsys)
    assert 'needs CONFIG:CHECKPOINT' in fail(capsys, gaie, '--ann-file', 'labelled.csv')
    assert 'as they are: give no checkpoints' in fail(capsys, f'{gaie}:{checkpoint}', '--ablation')
    assert "--device must be cpu, cuda or cuda:N, but got mps" in fail(capsys, gaie, '--device',
                                                                       'mps')
    assert 'at least 1, but got 0' in fail(capsys, gaie, '--rounds', '0')
    (tmp_path / 'file').write_text('')
    assert 'is not a folder' in fail(capsys, gaie, '--out', tmp_path / 'file')
    text = fail(capsys, f'{folder}/vivit_demo.py', f'{gaie}:{folder}/none.pth', '--out', tmp_path)
    assert text.endswith('none.pth does not exist')
    model = build_recognizer(Config.fromfile(ROOT / 'configs/demo/gaie_demo.py'))
    torch.save(model.state_dict(), tmp_path / 'large.pth')
    text = fail(capsys, f'{gaie}:{tmp_path}/large.pth', '--out', tmp_path)
    assert f'large.pth does not fit {gaie}:' in text and 'torch.Size([24])' in text
    text = fail(capsys, f'{gaie}:{checkpoint}', '--ann-file', 'test.csv', '--out', tmp_path)
    assert 'test.csv has no labels, so that gaie_demo has no accuracy on it' in text
    text = fail(capsys, f'{gaie}:{checkpoint}', '--ann-file', 'none.csv', '--out', tmp_path)
    assert 'none.csv' in text


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_absent_gpu(folder, capsys):
    assert re.search(r'--device cuda:0: PyTorch .* sees 0 GPUs here', fail(
        capsys, f'{folder}/gaie_demo.py', '--device', 'cuda:0'))


ARM = """
_base_ = '{folder}/gaie_demo.py'
data = dict(data_root='{folder}', ann_file='labelled.csv', data_prefix=dict(video=''))
train_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False, dataset=data)
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=data)
test_dataloader = dict(dataset=data)
data_root = '{folder}'
train_cfg = dict(max_epochs=1)
{change}
"""


@pytest.mark.slow
def test_ablation(folder, tmp_path, capfd, monkeypatch):
    """Two arms are trained and tested; the second time nothing is."""
    monkeypatch.chdir(folder)
    arms = []
    for name, change in (('merge', ''),
                         ('prune', "model = dict(backbone=dict(neck=dict(type='PruneNeck')))")):
        arms.append(folder / f'{name}.py')
        arms[-1].write_text(ARM.format(folder=folder, change=change))
    results = []
    for _ in range(2):
        compare.main(['--ablation', *map(str, arms), '--no-train', '--rounds', '1', '--device',
                      'cpu', '--out', str(tmp_path)])
        results.append(read_csv(next(tmp_path.glob('ablation-infer-*.csv'))))
        output = ''.join(capfd.readouterr())
        assert ('Epoch(train)' in output) == (len(results) == 1)
    for row, arm in zip(results[0], arms, strict=True):
        assert row['model'] == arm.stem
        assert row['checkpoint'] == f'{tmp_path}/{arm.stem}/epoch_1.pth'
        saved = json.loads((tmp_path / arm.stem / 'arm.json').read_text())
        assert row['Top-1 %'] == f'{100 * saved["metrics"]["acc/top1"]:.2f}'
    columns = ('model', 'Top-1 %', 'Top-5 %', 'mean class %', 'GMACs true')
    first, second = ([[row[column] for column in columns] for row in rows] for rows in results)
    assert first == second


def test_arms_of_the_ablation_differ_in_one_thing():
    """From GAIE's demo, by the backbone or a hook; and each from all the others."""
    base = Config.fromfile(ROOT / 'configs/demo/gaie_demo.py').to_dict()
    paths = sorted((ROOT / 'configs/ablation').glob('*.py'))
    seen = [base]
    for path in paths:
        assert len(path.read_text().splitlines()) <= 6
        cfg = Config.fromfile(path).to_dict()
        assert cfg not in seen
        seen.append(cfg)
        for key in ('neck', 'merge_layers'):
            cfg = {**cfg, 'model': {**cfg['model'], 'backbone': {
                **cfg['model']['backbone'], key: base['model']['backbone'][key]}}}
        cfg.pop('custom_hooks', None)
        assert cfg == base
    names = {path.stem.removeprefix('gaie_demo_') for path in paths}
    assert names >= {'early', 'late', 'keep50', 'keep90', 'prune', 'fuse', 'random', 'key',
                     'prop_attn', 'warmup'}

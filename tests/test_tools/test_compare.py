"""tools/analysis/compare.py: its table in all forms, against the other tools."""
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from evaluating import write_annotations
from launching import ROOT
from mmaction.registry import DATASETS
from mmengine.config import Config
from mmengine.runner import Runner
from numbered_video import write_video
from running import run_tool
from small_model import predict_clips

from gaie_mmaction.apis import build_recognizer
from gaie_mmaction.benchmark import to_markdown
from gaie_mmaction.benchmark.published import ACCURACIES, COSTS

CONFIG = """
_base_ = '{root}/configs/demo/{name}.py'
model = dict(backbone=dict(embed_dims=24, num_heads=2, depth=2{neck}),
             cls_head=dict(in_channels=24))
test_dataloader = dict(batch_size=2, num_workers=0,
                       dataset=dict(data_root='{data}', data_prefix=dict(video='')))
test_evaluator = dict(out_file='{data}/prediction.csv')
"""
IDS = [f'0054_{k}' for k in range(8)]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Two configs, a checkpoint that is right on every second clip, and clips without labels."""
    folder = tmp_path_factory.mktemp('compare')
    write_video(folder / '0054.mp4', 128)
    for name, neck in (('gaie_demo', ', merge_layers=(0, )'), ('vivit_demo', '')):
        (folder / f'{name}.py').write_text(CONFIG.format(root=ROOT, data=folder, name=name,
                                                         neck=neck))
    write_annotations(folder / 'test.csv', IDS, step=12)
    cfg = Config.fromfile(folder / 'gaie_demo.py')
    torch.manual_seed(0)
    model = build_recognizer(cfg)
    torch.nn.init.normal_(model.cls_head.fc_cls.weight, std=3)  # so that the classes differ
    torch.save(dict(state_dict=model.state_dict()), folder / 'epoch_1.pth')
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    best = predict_clips(model, dataset).argmax(dim=1).tolist()
    write_annotations(folder / 'labelled.csv', IDS,
                      [(label + k % 2) % 32 for k, label in enumerate(best)], step=12)
    return folder


def compare(tmp_path, *arguments):
    """Run the tool in this process; returns its exit code or error, and what it printed."""
    return run_tool('analysis/compare.py', '--out', tmp_path, '--device', 'cpu', '--warmup', 1,
                    *arguments)


@pytest.fixture
def run(tmp_path):
    """Run the tool; returns what it printed, and the paths it wrote."""

    def run(*arguments):
        text = compare(tmp_path, *arguments)[1]
        return text, [Path(path) for path in re.search(r'written: (.*)', text)[1].split(', ')]

    return run


def read_csv(path):
    return pd.read_csv(path, dtype=str, keep_default_na=False).to_dict('records')


@pytest.fixture(scope='module')
def result(folder, tmp_path_factory):
    """Text and files' stem for both configs, one with a checkpoint and labels."""
    out = tmp_path_factory.mktemp('out')
    process = subprocess.run(
        [sys.executable, ROOT / 'tools/analysis/compare.py', folder / 'vivit_demo.py',
         f'{folder}/gaie_demo.py:{folder}/epoch_1.pth', '--ann-file', 'labelled.csv', '--rounds',
         '3', '--threads', '1', '--device', 'cpu', '--train', 'step', '--tables', '--out', out],
        cwd=folder, capture_output=True, text=True, env=dict(os.environ, COLUMNS='300'))
    assert process.returncode == 0, process.stderr[-3000:]
    release = '.'.join(torch.__version__.split('.')[:2])
    return process.stdout, f'{out}/compare-fp32-cpu1-torch{release}'


def test_accuracy_is_mim_tests(folder, result):
    assert not (folder / 'prediction.csv').exists()  # no leaderboard file
    rows = {row['model']: row for row in read_csv(f'{result[1]}.csv')}
    cfg = Config.fromfile(folder / 'gaie_demo.py')
    cfg.test_dataloader.dataset.ann_file = 'labelled.csv'
    cfg.update(work_dir=str(folder / 'work'), load_from=str(folder / 'epoch_1.pth'))
    metrics = Runner.from_cfg(cfg).test()  # as `mim test` does
    assert metrics['acc/top1'] == .5  # of the plain loop in the fixture
    (folder / 'prediction.csv').unlink()
    found = [rows['gaie_demo'][column] for column in ('Top-1 %', 'Top-5 %', 'mean class %')]
    assert found == [f'{100 * metrics[f"acc/{key}"]:.2f}' for key in ('top1', 'top5', 'mean1')]
    assert rows['vivit_demo']['Top-1 %'] == '-'


def test_costs_are_get_flops(folder, result):
    _, text = run_tool('analysis/get_flops.py', folder / 'gaie_demo.py')
    row = read_csv(f'{result[1]}.csv')[1]
    figures = re.findall(r'^(?:true|paper|parameters).*: *([\d.]+) ', text, re.M)
    assert [row[name] for name in ('GMACs true', 'GMACs paper', 'params M')] == figures


def test_all_forms_hold_the_same(result):
    text, stem = result
    table, markdown = read_csv(f'{stem}.csv'), Path(f'{stem}.md').read_text()
    assert [row['model'] for row in table] == ['vivit_demo', 'gaie_demo']
    for row in table:
        cells = [cell.strip() for cell in
                 re.search(rf'^│ {row["model"]} .*$', text, re.M)[0].strip('│').split('│')]
        shown = dict(list(row.items())[:len(cells)])  # what follows are the conditions
        assert cells == list(shown.values()) and 'threads' not in shown
        assert (row['dtype'], row['batch'], row['threads'], row['rounds']) == (
            'float32', '1', '1', '3')
        assert row['torch'] == torch.__version__ and row['device'].startswith('CPU, ')
        assert float(row['train ms']) > 0
    tables = [pd.DataFrame(table).loc[:, list(shown)], *(
        pd.DataFrame(read_csv(f'{stem}-table{number}.csv')) for number in (2, 3))]
    for frame in tables:
        assert f'\n\n{to_markdown(frame)}\n' in markdown
    assert markdown.count('\n| ---') == 3
    assert Path(f'{stem}.png').read_bytes().startswith(b'\x89PNG')
    notes = [line[2:] for line in markdown.splitlines() if line.startswith('- ')]
    assert all(line in text for line in notes)
    for part in ('threads 1', 'torch 2', 'mmaction2 1.2', '8 clips of', 'labelled.csv, standard '
                 'error of Top-1 up to 17.7 points (gaie_demo)', 'command: python tools/analysis'):
        assert any(part in line for line in notes), part


def test_published_figures_are_marked_everywhere(result):
    text, stem = result
    figures = {figure for _, _, figure, *_ in ACCURACIES} | {
        figure for _, *costs, _ in COSTS for figure in costs}
    assert {'68.70', '67.84', '65.820', '101.848', '21.96', '13.74'} <= figures
    written = [text, *(Path(f'{stem}{end}').read_text()
                       for end in ('.md', '-table2.csv', '-table3.csv'))]
    for figure in figures:
        for content in written:
            assert not re.search(rf'(?<![\d.]){figure}(?![\d.]| \(published\))', content)
        assert sum(f'{figure} (published)' in content for content in written) == 3
    assert 'published)' not in Path(f'{stem}.csv').read_text()


def test_a_sweep(folder, run):
    """Over frames, with the gradients of training."""
    text, paths = run(folder / 'vivit_demo.py', folder / 'gaie_demo.py', '--rounds', 1, '--frames',
                      4, 8, '--train', 'gradients', '--name', 'frames')
    rows = read_csv(paths[0])
    assert paths[0].name.startswith('frames-fp32-cpu')
    assert [row['view'] for row in rows] == ['4x96x96'] * 2 + ['8x96x96'] * 2
    assert [float(row['by arithmetic']) > 1 for row in rows] == [False, True] * 2
    assert all(float(row['train ms']) > 0 for row in rows)
    assert 'time grows as tokens^' in text and paths[-1].suffix == '.png' and all(
        path.exists() for path in paths)


def test_keep_ratios_and_accuracy(folder, run):
    """A checkpoint is tested at each keep ratio, never at another view."""
    gaie = f'{folder}/gaie_demo.py:{folder}/epoch_1.pth'
    common = (gaie, '--ann-file', 'labelled.csv', '--rounds', 1)
    rows = read_csv(run(*common, '--ratios', .7, .1)[1][0])
    assert [row['ratio'] for row in rows] == ['0.7', '0.1'] and rows[0]['Top-1 %'] == '50.00'
    assert float(rows[0]['GMACs true']) > float(rows[1]['GMACs true'])
    text, paths = run(*common, '--shape', 16, 64, 96)
    row, = read_csv(paths[0])
    assert row['view'] == '16x64x96' and 'Top-1 %' not in row
    assert 'no accuracy at another view than the data pipeline makes (gaie_demo)' in text


def test_without_labels_in_bfloat16(folder, run):
    """A checkpoint on unlabelled clips has no accuracy, and a note says why."""
    text, paths = run(f'{folder}/gaie_demo.py:{folder}/epoch_1.pth', '--dtypes', 'bfloat16',
                      '--batch-sizes', 2, '--rounds', 1, '--threads', 1)
    row, = read_csv(paths[0])
    assert paths[0].name.startswith('compare-bf16-cpu1-torch')
    assert 'Top-1 %' not in row and 'train ms' not in row
    assert (row['dtype'], row['batch']) == ('bfloat16', '2') and 'autocast' in text
    assert 'test.csv has no labels, see --ann-file (gaie_demo)' in text


def test_breakdown(folder, run):
    _, (path, ) = run(folder / 'vivit_demo.py', folder / 'gaie_demo.py', '--rounds', 1,
                      '--breakdown')
    rows = read_csv(path)
    assert path.name.endswith('-blocks.csv')
    assert [row['block'] for row in rows] == ['1', '2', 'all'] * 2
    assert sum(float(row['MLP']) for row in rows[:2]) == pytest.approx(float(rows[2]['MLP']),
                                                                      abs=.02)


def test_errors(folder, tmp_path, capsys):
    gaie, checkpoint = f'{folder}/gaie_demo.py', f'{folder}/epoch_1.pth'
    (tmp_path / 'file').write_text('')
    model = build_recognizer(Config.fromfile(ROOT / 'configs/demo/gaie_demo.py'))
    torch.save(model.state_dict(), tmp_path / 'large.pth')
    for arguments, message in (
            (['configs/none.py:a.pth'], 'config configs/none.py does not exist'),
            ([], 'the following arguments are required: CONFIG[:CHECKPOINT]'),
            ([gaie, '--ann-file', 'labelled.csv'], 'needs CONFIG:CHECKPOINT'),
            ([gaie, '--rounds', '0'], 'at least 1, but got 0'),
            ([gaie, '--round', '1'], 'unrecognized arguments: --round 1'),
            ([gaie, '--ratios', '1.5'], 'token_keep_ratio must be in (0, 1], but got 1.5'),
            ([gaie, '--out', tmp_path / 'file'], f'{tmp_path}/file'),
            ([f'{folder}/vivit_demo.py', f'{gaie}:{folder}/none.pth'], 'none.pth does not exist'),
            ([f'{gaie}:{tmp_path}/large.pth'], f'large.pth does not fit {gaie}:'),
            ([f'{gaie}:{checkpoint}', '--ann-file', 'test.csv'],
             'test.csv has no labels, so gaie_demo has no accuracy on it'),
            ([f'{gaie}:{checkpoint}', '--ann-file', 'none.csv'], 'none.csv')):
        code, _ = compare(tmp_path, *arguments)
        text = capsys.readouterr().err if code == 2 else code
        assert message in text, text


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_absent_gpu(folder, tmp_path, capsys):
    assert compare(tmp_path, f'{folder}/gaie_demo.py', '--device', 'cuda:0')[0] == 2
    assert re.search(r'--device cuda:0: PyTorch .* sees 0 GPUs here', capsys.readouterr().err)

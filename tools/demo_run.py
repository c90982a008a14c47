"""The whole main job on an invented release: generate, prepare, train, test, compare, draw."""
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Dict

import torch
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
RELEASE, DATA, WORK = 'data/demo_release', 'data/demo', 'work_dirs/demo'
MODELS = {'GAIE': 'gaie_demo', 'plain ViT': 'vivit_demo'}
RUNS = 31
console = Console()


def run(title: str, *command: str) -> None:
    """Run a step with its output on the screen; stop the demo if it fails."""
    console.rule(title)
    console.print('$ ' + ' '.join(command), highlight=False, soft_wrap=True)
    script = str(Path(sys.executable).parent / 'mim') if command[0] == 'mim' else sys.executable
    # the other half of the cores is for the loaders: with more threads than cores, both crawl
    threads = str(max(1, os.cpu_count() // 2))
    result = subprocess.run([script, *command[1:]], cwd=ROOT,
                            env=dict(os.environ, OMP_NUM_THREADS=threads))
    if result.returncode:
        sys.exit(f'the step "{title}" failed; its messages stand above')


def checkpoint_of(name: str) -> str:
    """Path of the last checkpoint of a training run."""
    return (ROOT / WORK / name / 'last_checkpoint').read_text().strip()


def train_and_test(name: str, config: str) -> Dict[str, float]:
    """Train and test one config through mim.

    Returns:
        dict[str, float]: The test's metrics.
    """
    path, work = f'configs/demo/{config}.py', f'{WORK}/{config}'
    run(f'Training: {name}', 'mim', 'train', 'mmaction', path, '--gpus', '0', '--work-dir', work)
    run(f'Testing on unseen subjects: {name}', 'mim', 'test', 'mmaction', path, '--checkpoint',
        checkpoint_of(config), '--gpus', '0', '--work-dir', f'{work}/test', '--cfg-options',
        f'test_evaluator.out_file={work}/prediction.csv')
    newest = max((ROOT / work / 'test').glob('*/*.json'), key=lambda file: file.stat().st_mtime)
    return json.loads(newest.read_text())


def compare(metrics: Dict[str, Dict[str, float]]) -> None:
    """Print accuracy, cost and speed of all models side by side."""
    from gaie_mmaction.analysis import build_recognizer, measure_complexity, measure_latency
    models, costs = {}, {}
    for name, config in MODELS.items():
        cfg = Config.fromfile(ROOT / f'configs/demo/{config}.py')
        models[name] = build_recognizer(cfg)
        load_checkpoint(models[name], checkpoint_of(config), map_location='cpu', strict=True)
        size = cfg.model.backbone.img_size
        costs[name] = measure_complexity(models[name], (3, 16, size, size))
    milliseconds = measure_latency(models, torch.randn(8, 1, 3, 16, size, size), runs=RUNS)
    table = Table('model', title='Unseen subjects, 8 classes; speed with 8 clips at once, '
                  f'float32, {torch.get_num_threads()} threads, median of {RUNS} runs in turn')
    for column in ('Top-1 %', 'Top-5 %', 'mean class %', 'GMACs', 'ms per clip'):
        table.add_column(column, justify='right')
    for name in MODELS:
        scores = [f'{100 * metrics[name][f"acc/{key}"]:.1f}' for key in ('top1', 'top5', 'mean1')]
        table.add_row(name, *scores, f'{costs[name].true_macs / 1e9:.3f}',
                      f'{milliseconds[name]:.2f}')
    console.rule('Comparison')
    console.print(table)
    console.print('With so few tokens merging costs as much time as it saves; at full size see '
                  'tools/analysis/get_flops.py configs/gaie_vitb_imigue.py')


def main() -> None:
    run('Drawing an invented release', 'python', 'tools/data/make_demo_release.py', RELEASE,
        '--overwrite')
    run('Preparing it', 'python', 'tools/data/prepare_imigue.py', RELEASE, '--out', DATA,
        '--test-labels', f'{RELEASE}/test_answers.csv')
    metrics = {name: train_and_test(name, config) for name, config in MODELS.items()}
    compare(metrics)
    clip_id = (ROOT / DATA / 'test.csv').read_text().splitlines()[1].split(',')[0]
    run('Picture of a test clip', 'python', 'tools/visualize/token_map.py',
        'configs/demo/gaie_demo.py', checkpoint_of('gaie_demo'), '--clip-id', clip_id, '--out',
        f'{WORK}/token_map.png')
    console.rule('Where everything lies')
    for what, where in (('release', RELEASE), ('annotation files and report', DATA),
                        ('logs and checkpoints', f'{WORK}/gaie_demo, {WORK}/vivit_demo'),
                        ('leaderboard file', f'{WORK}/gaie_demo/prediction.csv'),
                        ('picture of kept and merged tokens', f'{WORK}/token_map.png')):
        console.print(f'{what}: {where}', highlight=False)


if __name__ == '__main__':
    main()

"""The whole main job on an invented release: generate, prepare, train, test, compare, draw."""
import argparse
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from gaie_mmaction.synthetic import CAUTION

ROOT = Path(__file__).resolve().parents[1]
RELEASE, DATA, WORK = 'data/demo_release', 'data/demo', 'work_dirs/demo'
MODELS = {'plain ViT': 'vivit_demo', 'GAIE': 'gaie_demo'}  # ratios are to the first
ROUNDS = 31
console = Console()


def run(title: str, *command: str) -> None:
    """Run a step with its output on the screen; stop the demo if it fails."""
    console.rule(title)
    console.print('$ ' + ' '.join(command), highlight=False, soft_wrap=True)
    program, *arguments = command
    python = [sys.executable, '-m', 'mim'] if program == 'mim' else [sys.executable]
    # the other half of the cores is for the loaders: with more threads than cores, both crawl
    threads = str(max(1, (os.cpu_count() or 1) // 2))
    result = subprocess.run([*python, *arguments], cwd=ROOT,
                            env=dict(os.environ, OMP_NUM_THREADS=threads))
    if result.returncode:
        sys.exit(f'the step "{title}" failed; its messages stand above')


def checkpoint_of(name: str) -> str:
    """Path of the last checkpoint of a training run."""
    return (ROOT / WORK / name / 'last_checkpoint').read_text(encoding='utf-8').strip()


def train_and_test(name: str, config: str) -> None:
    """Train and test one config through mim."""
    path, work = f'configs/demo/{config}.py', f'{WORK}/{config}'
    run(f'Training: {name}', 'mim', 'train', 'mmaction', path, '--gpus', '0', '--work-dir', work)
    run(f'Testing on unseen subjects: {name}', 'mim', 'test', 'mmaction', path, '--checkpoint',
        checkpoint_of(config), '--gpus', '0', '--work-dir', f'{work}/test', '--cfg-options',
        f'test_evaluator.out_file={work}/prediction.csv')


def make_data() -> None:
    """Draw and prepare the invented release."""
    run('Drawing an invented release', 'python', 'tools/data/make_demo_release.py', RELEASE,
        '--overwrite')
    run('Preparing it', 'python', 'tools/data/prepare_imigue.py', RELEASE, '--out', DATA,
        '--test-labels', f'{RELEASE}/test_answers.csv')
    (ROOT / DATA / 'caution.txt').write_text(CAUTION, encoding='utf-8')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data-only', action='store_true',
                        help='draw and prepare the release, and stop there')
    args = parser.parse_args()
    make_data()
    if args.data_only:
        return
    for name, config in MODELS.items():
        train_and_test(name, config)
    run('Comparison', 'python', 'tools/analysis/compare.py',
        *(f'configs/demo/{config}.py:{checkpoint_of(config)}' for config in MODELS.values()),
        '--batch-size', '8', '--rounds', str(ROUNDS), '--device', 'cpu', '--out', f'{WORK}/compare')
    console.print('With so few tokens merging costs as much time as it saves; at full size see '
                  'tools/analysis/get_flops.py configs/gaie_vitb_imigue.py')
    clip_id = (ROOT / DATA / 'test.csv').read_text(encoding='utf-8').splitlines()[1].split(',')[0]
    run('Picture of a test clip', 'python', 'tools/visualize/token_map.py',
        'configs/demo/gaie_demo.py', checkpoint_of('gaie_demo'), '--clip-id', clip_id, '--out',
        f'{WORK}/token_map.png')
    console.rule('Where everything lies')
    for what, where in (('release', RELEASE), ('annotation files and report', DATA),
                        ('logs and checkpoints', f'{WORK}/gaie_demo, {WORK}/vivit_demo'),
                        ('leaderboard file', f'{WORK}/gaie_demo/prediction.csv'),
                        ('comparison', f'{WORK}/compare'),
                        ('picture of kept and merged tokens', f'{WORK}/token_map.png')):
        console.print(f'{what}: {where}', highlight=False)


if __name__ == '__main__':
    main()

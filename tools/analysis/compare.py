"""Compare any set of configs and checkpoints: accuracy, parameters, GMACs, speed and memory.

One table in the terminal, as csv and as markdown, and a picture of accuracy and speed against
GMACs. Times are taken in turn, so that all models meet the same machine noise. All models are in
memory at once.
"""
import argparse
import math
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import torch
from mmengine.config import Config, DictAction
from rich.console import Console

from gaie_mmaction.benchmark import (
    Conditions,
    Entry,
    TestPart,
    build_recognizer,
    comparison_table,
    different_names,
    draw_tradeoff,
    explanations,
    load_weights,
    measure,
    measure_accuracy,
    published_tables,
    read_test_part,
    run_arm,
    view_shape,
)
from gaie_mmaction.benchmark.comparison import DTYPES
from gaie_mmaction.utils.files import atomic_file, require_writable

ROOT = Path(__file__).resolve().parents[2]
DEMO_DATA = 'data/demo'
ABLATION = ('configs/demo/gaie_demo.py', 'configs/demo/vivit_demo.py')  # and configs/ablation/
console, progress = Console(), Console(stderr=True, highlight=False)


def at_least_one(text: str) -> int:
    """Type of an argument: an integer from 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'must be at least 1, but got {value}')
    return value


def split_model(text: str) -> tuple[str, str | None]:
    """Type of an argument: ``CONFIG`` or ``CONFIG:CHECKPOINT``."""
    match = re.fullmatch(r'(.*?\.(?:py|ya?ml|json)|.*)(?::(.+))?', text, re.DOTALL)
    assert match is not None  # as anything matches
    config, checkpoint = match.groups()
    if not os.path.isfile(config):
        raise argparse.ArgumentTypeError(f'config {config} does not exist')
    return config, checkpoint


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('models', nargs='*', type=split_model, metavar='CONFIG[:CHECKPOINT]',
                        help='what is compared; ratios are to the first. Without a checkpoint the '
                        'weights are random, and there is no accuracy')
    parser.add_argument('--ann-file', help='labelled clips for the accuracy, in the place of '
                        'test_dataloader.dataset.ann_file (from its data_root)')
    parser.add_argument('--shape', type=int, nargs=4, metavar=('C', 'T', 'H', 'W'),
                        help='input of one view, of all models (default: 3, and clip_len and '
                        'crop_size of each test pipeline)')
    parser.add_argument('--device', help='cpu, cuda or cuda:N (default: cuda if there is one); '
                        'accuracy is tested where MMEngine runs')
    parser.add_argument('--dtype', choices=DTYPES, default='float32',
                        help='bfloat16 is by autocast (default: %(default)s)')
    parser.add_argument('--batch-size', type=at_least_one, default=1, help='default: 1')
    parser.add_argument('--threads', type=at_least_one, default=torch.get_num_threads(),
                        help="of a CPU's operators (default: %(default)s)")
    parser.add_argument('--rounds', type=at_least_one, default=15,
                        help='times of each model (default: %(default)s)')
    parser.add_argument('--warmup', type=at_least_one, default=2,
                        help='rounds before, not counted (default: %(default)s)')
    parser.add_argument('--no-train', action='store_true', help='measure no training step')
    parser.add_argument('--tables', action='store_true',
                        help="print the paper's Tables 2 and 3 beside ours, too")
    parser.add_argument('--ablation', action='store_true',
                        help='train and test each model first, on the demo release, in a folder of '
                        '--out; what is finished there is not done again. Without CONFIG: '
                        f'{" and ".join(ABLATION)}, and those of configs/ablation/')
    parser.add_argument('--out', default=None, help='folder of the results (default: '
                        'work_dirs/compare, or work_dirs/ablation)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction,
                        help='changes of every config')
    args = parser.parse_args(argv)
    check(parser, args)
    return args


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse what cannot work before anything is done."""
    given = [checkpoint for _, checkpoint in args.models if checkpoint is not None]
    if args.ablation and (given or args.cfg_options or args.ann_file):
        parser.error('--ablation trains and tests configs as they are: give no checkpoints, '
                     '--cfg-options and --ann-file')
    if not args.models and not args.ablation:
        parser.error('give at least one CONFIG, or --ablation')
    if args.ann_file and not given:
        parser.error('--ann-file asks for accuracy, which needs CONFIG:CHECKPOINT')
    args.device = torch.device(args.device or ('cuda' if torch.cuda.is_available() else 'cpu'))
    if args.device.type == 'cuda':
        if (args.device.index or 0) >= torch.cuda.device_count():
            parser.error(f'--device {args.device}: PyTorch {torch.__version__} sees '
                         f'{torch.cuda.device_count()} GPUs here; use --device cpu')
    elif args.device.type != 'cpu':
        parser.error(f'--device must be cpu, cuda or cuda:N, but got {args.device}')
    args.out = Path(args.out or f'work_dirs/{"ablation" if args.ablation else "compare"}')
    try:
        require_writable(str(args.out / 'table.csv'))
    except OSError as error:
        parser.error(str(error))


def train_arms(args: argparse.Namespace) -> tuple[list[tuple], list[dict | None]]:
    """Train and test every arm; returns configs with checkpoints, and the metrics."""
    configs = [os.path.relpath(config, ROOT) for config, _ in args.models]
    args.out = args.out.resolve()
    os.chdir(ROOT)  # where the demo's configs look for their data
    folder = Path('configs/ablation')
    configs = configs or [*ABLATION, *sorted(map(str, folder.glob('*.py')))]
    if any(Config.fromfile(config).get('data_root') == DEMO_DATA for config in configs) and not (
            Path(DEMO_DATA, 'train.csv').exists() and Path(DEMO_DATA, 'test.csv').exists()):
        progress.print('making the demo release')
        subprocess.run([sys.executable, 'tools/demo_run.py', '--data-only'], check=True)
    models, metrics = [], []
    for number, config in enumerate(configs, 1):
        progress.rule(f'Arm {number} of {len(configs)}: {config}')
        checkpoint, result = run_arm(config, args.out / Path(config).stem,
                                     args.device.type == 'cuda')
        models.append((config, checkpoint))
        metrics.append(result)
    return models, metrics


def load_entry(name: str, config: str, checkpoint: str | None,
               args: argparse.Namespace) -> Entry:
    """Build a model with its weights."""
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(args.cfg_options or {})
    if args.ann_file:
        cfg.test_dataloader.dataset.ann_file = args.ann_file
    model = build_recognizer(cfg)
    if checkpoint is not None:
        load_weights(model, checkpoint, config)
    return Entry(name, config, checkpoint, cfg, model.to(args.device),
                 tuple(args.shape or view_shape(cfg)))


def test(entry: Entry, args: argparse.Namespace) -> tuple[dict | None, str]:
    """Accuracy of an entry, or None, and what it was measured on, or why not."""
    if entry.checkpoint is None:
        return None, 'no accuracy without a checkpoint'
    try:
        part = read_test_part(entry.cfg)
    except FileNotFoundError as error:
        if args.ann_file:
            raise
        return None, f'no accuracy: {error}'
    if not part.is_labelled and args.ann_file:
        raise ValueError(f'{part.ann_file} has no labels, so that {entry.name} has no accuracy on '
                         'it: give a labelled part, or no --ann-file')
    if not part.is_labelled:
        return None, f'no accuracy: {part.ann_file} has no labels, see --ann-file'
    progress.print(f'testing {entry.name} on {part.ann_file}, {part.num_clips} clips')
    metrics = measure_accuracy(entry.cfg, entry.checkpoint, str(args.out / 'test' / entry.name))
    return metrics, describe(part)


def describe(part: TestPart) -> str:
    """What an accuracy was measured on, and how far chance alone can move it."""
    return (f'accuracy: float32, {part.num_clips} clips of {part.ann_file}, standard error of '
            f'Top-1 up to {50 / math.sqrt(part.num_clips):.1f} points')


def write(args: argparse.Namespace, conditions: Conditions, entries: Sequence[Entry],
          rows: Sequence, remarks: Sequence[str]) -> None:
    """Print and write everything."""
    table, lines = comparison_table(entries, rows, conditions), explanations(conditions, remarks)
    published = published_tables(entries, rows, conditions) if args.tables else []
    stem = f'{"ablation" if args.ablation else "compare"}-{conditions.file_stem()}'
    console.print('\n'.join(lines), highlight=False, markup=False, soft_wrap=True)
    for one in (table, *published):
        one.print(console)
    paths = [args.out / f'{stem}{end}' for end in ('.csv', '.md', '.png')]
    table.write_csv(paths[0], conditions.names(),
                    [dict(config=entry.config, checkpoint=entry.checkpoint or '')
                     for entry in entries])
    for number, one in enumerate(published, 2):
        paths.append(args.out / f'{stem}-table{number}.csv')
        one.write_csv(paths[-1])
    with atomic_file(paths[1]) as partial:
        partial.write_text('\n'.join([*(f'- {line}' for line in lines), '',
                                      *(f'{one.markdown()}\n' for one in (table, *published))]),
                           encoding='utf-8')
    draw_tradeoff(
        paths[2], [entry.name for entry in entries],
        [row.complexity.true_macs / 1e9 for row in rows],
        {'Top-1 (%)': [100 * entry.metrics['acc/top1'] if entry.metrics else None
                       for entry in entries],
         'clips/s': [conditions.batch_size / row.inference.median for row in rows]}, lines[0])
    console.print('written: ' + ', '.join(map(str, paths)), highlight=False, soft_wrap=True)


def prepare(args: argparse.Namespace) -> tuple[list[Entry], list[str]]:
    """Models with their weights and accuracies, and what these were measured on."""
    models, metrics = train_arms(args) if args.ablation else (args.models, None)
    names = different_names(*zip(*models))
    entries = [load_entry(name, config, checkpoint, args)
               for name, (config, checkpoint) in zip(names, models)]
    tested: dict[str, list[str]] = {}  # what is to say of accuracy, and of which models
    for place, entry in enumerate(entries):
        if metrics is None:
            result, line = test(entry, args)
        else:
            result, line = metrics[place], describe(read_test_part(entry.cfg))
        entries[place] = replace(entry, metrics=result)
        tested.setdefault(line, []).append(entry.name)
    return entries, [f'{line} ({", ".join(names)})' for line, names in tested.items()]


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    command = shlex.join(['python', 'tools/analysis/compare.py', *(argv or sys.argv[1:])])
    try:
        with redirect_stdout(sys.stderr):  # the test's log; stdout is for the table
            entries, tested = prepare(args)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    torch.set_num_threads(args.threads)
    conditions = Conditions(args.device, args.dtype, args.batch_size, args.rounds, args.warmup,
                            not args.no_train)
    rows = measure(entries, conditions, progress.print)
    write(args, conditions, entries, rows, [*tested, f'command: {command}'])


if __name__ == '__main__':
    main()

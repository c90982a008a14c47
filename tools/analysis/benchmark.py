"""Speed and memory of any configs, in turn, over batch, frames, pixels, keep ratio and precision.

Ratios are to the first config. Beside each speed stands what it would be if time went by
multiply-adds alone. Weights are random: tools/analysis/compare.py has accuracies.
"""
import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from gaie_mmaction.benchmark import (
    Conditions,
    all_points,
    break_down,
    breakdown_table,
    different_names,
    draw_sweep,
    explanations,
    growth_exponents,
    inference_step,
    sweep,
    sweep_table,
)
from gaie_mmaction.benchmark.comparison import DTYPES, Entry
from gaie_mmaction.benchmark.sweep import Point, build_entry
from gaie_mmaction.utils.files import require_writable

console, progress = Console(), Console(stderr=True, highlight=False)


def positive(text: str) -> int:
    """Type of an argument: an integer from 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'must be at least 1, but got {value}')
    return value


def share(text: str) -> float:
    """Type of an argument: a number in (0, 1]."""
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f'must be in (0, 1], but got {value}')
    return value


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='+', help='what is measured; ratios are to the first')
    parser.add_argument('--batch-sizes', type=positive, nargs='+', default=[1], help='default: 1')
    parser.add_argument('--dtypes', choices=DTYPES, nargs='+', default=['float32'],
                        help='bfloat16 is by autocast (default: float32)')
    parser.add_argument('--frames', type=positive, nargs='+', default=[None],
                        help="of a view (default: the config's)")
    parser.add_argument('--sizes', type=positive, nargs='+', default=[None],
                        help="height and width of a view (default: the config's)")
    parser.add_argument('--ratios', type=share, nargs='+', default=[None],
                        help="token_keep_ratio of the reducers (default: the config's)")
    parser.add_argument('--train', choices=('step', 'gradients'), help='measure training, too: '
                        'whole steps, or without the optimizer')
    parser.add_argument('--compile', action='store_true',
                        help='torch.compile the backbones, as one graph')
    parser.add_argument('--breakdown', action='store_true',
                        help='instead: the parts of each block, at the first of all values')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu',
                        help='cpu, cuda or cuda:N (default: %(default)s)')
    parser.add_argument('--threads', type=positive, default=torch.get_num_threads(),
                        help="of a CPU's operators (default: %(default)s)")
    parser.add_argument('--rounds', type=positive, default=7,
                        help='times of each model (default: %(default)s)')
    parser.add_argument('--warmup', type=positive, default=2,
                        help='rounds before, not counted (default: %(default)s)')
    parser.add_argument('--name', default='speed',
                        help="start of the files' names (default: %(default)s)")
    parser.add_argument('--out', type=Path, default=Path('work_dirs/benchmark'),
                        help='folder of the results (default: %(default)s)')
    args = parser.parse_args(argv)
    for config in args.configs:
        if not Path(config).is_file():
            parser.error(f'config {config} does not exist')
    try:
        require_writable(str(args.out / 'table.csv'))
    except OSError as error:
        parser.error(str(error))
    return args


def write_breakdown(args: argparse.Namespace, configs: dict, point: Point,
                    conditions: Conditions) -> None:
    """Measure, print and write the parts of each block."""
    blocks = []
    for name, config in configs.items():
        progress.print(f'{name}: {point}')
        entry = build_entry(name, config, point, conditions)
        step = inference_step(entry.model, entry.shape, point.batch_size,
                              getattr(torch, point.dtype))
        blocks.append(break_down(entry.model.backbone, step, conditions.device, args.rounds,
                                 args.warmup))
    table = breakdown_table(list(configs), blocks)
    path = args.out / f'{args.name}-blocks-{conditions.machine()}.csv'
    table.write_csv(path, conditions.names())
    table.print(console)
    console.print(f'written: {path}', highlight=False, soft_wrap=True)


def write_sweep(args: argparse.Namespace, configs: dict, points: list, conditions: Conditions,
                command: str) -> None:
    """Measure, print and write all points."""

    def prepare(entry: Entry) -> None:
        if args.compile:
            entry.model.backbone.compile(fullgraph=True)

    measured = sweep(configs, points, conditions, progress.print, prepare)
    table = sweep_table(measured)
    # batch and dtype differ by point: they are columns
    lines = explanations(conditions, [
        'by arithmetic: speed if time went by multiply-adds; reached: speed by that',
        *(f'{name}: time grows as tokens^{exponent:.2f}'
          for name, exponent in growth_exponents(measured).items()), f'command: {command}'])
    console.print('\n'.join(lines), highlight=False, markup=False, soft_wrap=True)
    table.print(console)
    stem = f'{args.name}-{conditions.machine()}{"-compiled" if args.compile else ""}'
    table.write_csv(args.out / f'{stem}.csv', conditions.names())
    draw_sweep(args.out / f'{stem}.png', measured, lines[0])
    console.print(f'written: {args.out / stem}.csv and .png', highlight=False, soft_wrap=True)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    command = shlex.join(['python', 'tools/analysis/benchmark.py', *(argv or sys.argv[1:])])
    configs = dict(zip(different_names(args.configs, [None] * len(args.configs)), args.configs))
    points = all_points(args.batch_sizes, args.dtypes, args.frames, args.sizes, args.ratios)
    torch.set_num_threads(args.threads)
    conditions = Conditions(torch.device(args.device), points[0].dtype, points[0].batch_size,
                            args.rounds, args.warmup, args.train is not None,
                            args.train == 'step')
    try:
        if args.breakdown:
            write_breakdown(args, configs, points[0], replace(conditions, train=False))
        else:
            write_sweep(args, configs, points, conditions, command)
    except ValueError as error:
        sys.exit(f'{type(error).__name__}: {error}')


if __name__ == '__main__':
    main()

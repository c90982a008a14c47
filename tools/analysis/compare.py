"""Compare accuracy, cost, latency and memory of any configs and checkpoints.

Several values of an option are a sweep over all combinations. At each point all models take turns,
so that they meet the same machine noise; ratios are to the first model. The table goes to the
terminal and to csv, with notes to markdown, and there is a picture.
"""
import argparse
import re
import shlex
import sys
from contextlib import redirect_stdout
from pathlib import Path

import torch
from mmengine.config import DictAction
from rich.console import Console

from gaie_mmaction import benchmark
from gaie_mmaction.utils.command_line import Namespace, at_least_one, tool_parser
from gaie_mmaction.utils.files import require_writable


def config_and_checkpoint(text: str) -> tuple[str, str | None]:
    """Type of an argument: ``CONFIG`` or ``CONFIG:CHECKPOINT``."""
    (config, checkpoint), = re.findall(r'(?s)^(.*?\.(?:py|ya?ml|json)|.*)(?::(.+))?$', text)
    if not Path(config).is_file():
        raise argparse.ArgumentTypeError(f'config {config} does not exist')
    return config, checkpoint or None


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    add = parser.add_argument
    add('models', nargs='+', type=config_and_checkpoint, metavar='CONFIG[:CHECKPOINT]',
        help='without a checkpoint the weights are random, and there is no accuracy')
    add('--ann-file', help='labelled clips for the accuracy, instead of the test part')
    add('--batch-sizes', type=at_least_one, nargs='+', default=[1], help='default: 1')
    add('--dtypes', choices=benchmark.DTYPES, nargs='+', default=['float32'])
    add('--shape', type=at_least_one, nargs=3, metavar=('T', 'H', 'W'), default=(None, ) * 3,
        help='frames and pixels of a view (default: of each test pipeline)')
    add('--frames', type=at_least_one, nargs='+', help='several values for T')
    add('--sizes', type=at_least_one, nargs='+', help='several values for both H and W')
    add('--ratios', type=float, nargs='+', default=[None], help='token_keep_ratio of the reducers')
    add('--train', choices=benchmark.TRAINED, help='training too: with or without the optimizer')
    add('--compile', action='store_true', help='torch.compile the backbones, as one graph')
    add('--breakdown', action='store_true',
        help='instead: the time of each part of each block, at the first point of the sweep')
    add('--tables', action='store_true', help="the paper's Tables 2 and 3 beside ours, too")
    add('--device', type=torch.device, default='cuda' if torch.cuda.is_available() else 'cpu',
        help='cpu, cuda or cuda:N (default: %(default)s)')
    add('--threads', type=at_least_one, default=torch.get_num_threads(), help='CPU threads')
    add('--rounds', type=at_least_one, default=15, help='default: %(default)s')
    add('--warmup', type=at_least_one, default=2, help='rounds not counted (default: %(default)s)')
    add('--name', default='compare', help='start of the file names (default: %(default)s)')
    add('--out', type=Path, default='work_dirs/compare', help='folder (default: %(default)s)')
    add('--cfg-options', nargs='+', action=DictAction, help='overrides of every config')
    args = parser.parse_args()
    if args.ann_file and not any(checkpoint for _, checkpoint in args.models):
        parser.error('--ann-file asks for accuracy, which needs CONFIG:CHECKPOINT')
    if args.device.type == 'cuda' and (args.device.index or 0) >= torch.cuda.device_count():
        parser.error(f'--device {args.device}: PyTorch {torch.__version__} sees '
                     f'{torch.cuda.device_count()} GPUs here; use --device cpu')
    try:
        require_writable(str(args.out / 'table.csv'))
    except OSError as error:
        parser.error(str(error))
    return args


def main() -> None:
    args = parse_args()
    torch.set_num_threads(args.threads)
    if args.device.type == 'cuda':
        torch.cuda.set_device(args.device)  # of the accuracy, too
    points = benchmark.sweep(args.batch_sizes, args.dtypes, args.shape, args.frames, args.sizes,
                             args.ratios)
    conditions = benchmark.Conditions(args.device, args.rounds, args.warmup, args.train,
                                      args.compile)
    console, progress = Console(), Console(stderr=True, highlight=False)
    try:
        with redirect_stdout(sys.stderr):  # logs of the tests; stdout is for the table
            if args.breakdown:
                blocks = benchmark.break_down_models(args.models, points[0], conditions,
                                                     args.cfg_options)
            else:
                results = benchmark.compare(
                    args.models, points, conditions, progress.print, ann_file=args.ann_file,
                    cfg_options=args.cfg_options, out=args.out)
    except (OSError, ValueError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    if args.breakdown:
        benchmark.write_breakdown(blocks, points[0], conditions, args.out / args.name, console)
    else:
        command = shlex.join(['python', 'tools/analysis/compare.py', *sys.argv[1:]])
        benchmark.write_comparison(results, conditions, args.out / args.name, command, args.tables,
                                   console)


if __name__ == '__main__':
    main()

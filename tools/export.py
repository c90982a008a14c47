"""Export a recognizer, compare it with PyTorch, and time each format."""
import argparse
import functools
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from mmengine.config import Config, DictAction
from rich.console import Console

from gaie_mmaction.benchmark import (
    build_recognizer,
    load_weights,
    print_table,
    time_interleaved,
    view_shape,
)
from gaie_mmaction.export import (
    FORMATS,
    ExportError,
    TraceableRecognizer,
    check_available,
    compare,
    sample_frames,
    trace,
)
from gaie_mmaction.export.verification import reference_outputs

console = Console()


def export(args: argparse.Namespace, model: torch.nn.Module, shape: tuple) -> dict[str, Path]:
    """Write a file for each format."""
    names = TraceableRecognizer(model).output_names
    stem = Path(args.out_dir) / Path(args.config).stem
    paths = {}
    for name in args.format:
        path = stem.with_name(stem.name + FORMATS[name].ending)
        FORMATS[name].write(trace(model, shape, FORMATS[name].dtype), names, path)
        console.print(f'Written: {path} ({FORMATS[name].summary}, '
                      f'{path.stat().st_size / 2**20:.1f} MiB)', highlight=False, soft_wrap=True)
        paths[name] = path
    return paths


def verify(args: argparse.Namespace, model: torch.nn.Module, paths: dict[str, Path],
           frames: np.ndarray) -> bool:
    """Compare each file with PyTorch on the same frames."""
    expected = reference_outputs(model, frames)
    agree, rows = True, []
    for name, path in paths.items():
        found = compare(expected, FORMATS[name].load(path)(frames))
        good = FORMATS[name].accepts(found, args.tolerance)
        kept = ' '.join(f'{100 * share:.2f}' for share in found.kept_agreement) or '-'
        exact = FORMATS[name].lower_precision is None
        verdict = 'DIFFERS' if not good else 'agrees' if exact else 'lower precision'
        agree &= good
        rows.append((name, f'{found.max_error:.1e}', f'{found.scale:.2f}', kept,
                     'yes' if found.same_top1 else 'no', verdict))
    frame = pd.DataFrame(rows, columns=['format', 'max difference', 'max score',
                                        'same kept tokens %', 'same top-1', 'verdict'])
    print_table(frame, f'Against PyTorch in float32, tolerance {args.tolerance:g}', console)
    return agree


def benchmark(args: argparse.Namespace, model: torch.nn.Module, paths: dict[str, Path],
              frames: np.ndarray) -> None:
    """Time PyTorch and each file in turn."""
    steps: dict[str, Callable[[], object]] = {
        'PyTorch': lambda: reference_outputs(model, frames)}
    for name, path in paths.items():
        steps[name] = functools.partial(FORMATS[name].load(path), frames)
    timings = time_interleaved(steps, torch.device('cpu'), rounds=args.rounds)
    rows = [(name, f'{1e3 * timing.median:.1f}',
             f'{1e3 * (timing.quartiles[1] - timing.quartiles[0]):.1f}',
             f'{timing.speed_over(timings["PyTorch"]):.2f}x') for name, timing in timings.items()]
    print_table(pd.DataFrame(rows, columns=['format', 'ms', 'IQR ms', 'speed']),
                f'CPU, {torch.get_num_threads()} threads, batch {len(frames)}, medians of '
                f'{args.rounds} interleaved rounds', console)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='formats:\n' + '\n'.join(f'  {name:18} {kind.summary}'
                                        for name, kind in FORMATS.items()))
    parser.add_argument('config', help='config of the model')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('--format', nargs='+', choices=FORMATS, default=['onnx'], metavar='FORMAT',
                        help='one or more of those below (default: onnx)')
    parser.add_argument('--out-dir', default='work_dirs/export',
                        help='folder of the files (default: work_dirs/export)')
    parser.add_argument('--batch-size', type=int, default=1, help='clips of a batch (default: 1)')
    parser.add_argument('--shape', type=int, nargs=3, metavar=('FRAMES', 'HEIGHT', 'WIDTH'),
                        help="of a clip (default: the test pipeline's)")
    parser.add_argument('--verify', action='store_true',
                        help='compare with PyTorch; exit status 1 if a file differs by more than '
                        'its precision explains')
    parser.add_argument('--tolerance', type=float, default=1e-4,
                        help='largest error of a float32 score, before the softmax (default: 1e-4)')
    parser.add_argument('--benchmark', action='store_true', help='time the formats on this CPU')
    parser.add_argument('--rounds', type=int, default=7, help='of the benchmark (default: 7)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes of the config')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        cfg = Config.fromfile(args.config)
        cfg.merge_from_dict(args.cfg_options or {})
        for name in args.format:
            check_available(name)
        model = build_recognizer(cfg)
        load_weights(model, args.checkpoint, args.config)
        view = (3, *args.shape) if args.shape else view_shape(cfg)
        paths = export(args, model, (args.batch_size, *view))
    except (ValueError, TypeError, FileNotFoundError, ExportError) as error:
        sys.exit(str(error))
    frames = sample_frames((args.batch_size, *view))
    agree = verify(args, model, paths, frames) if args.verify else True
    if args.benchmark:
        benchmark(args, model, paths, frames)
    if not agree:
        sys.exit('an exported file differs from PyTorch: see the table')


if __name__ == '__main__':
    main()

"""Export a recognizer, compare it with PyTorch, and time each format."""
import sys
from pathlib import Path

import torch

from gaie_mmaction import export
from gaie_mmaction.apis import load_config, load_recognizer, view_shape
from gaie_mmaction.benchmark import print_table
from gaie_mmaction.export import FORMATS, ExportError
from gaie_mmaction.utils.command_line import Namespace, add_model, exit_on, tool_parser


def parse_args() -> Namespace:
    parser = tool_parser(__doc__, epilog='formats:\n' + '\n'.join(
        f'  {name:18} {kind.summary}' for name, kind in FORMATS.items()))
    add_model(parser)
    parser.add_argument('--format', nargs='+', choices=FORMATS, default=['onnx'], metavar='FORMAT',
                        help='one or more of those below (default: onnx)')
    parser.add_argument('--out', default='work_dirs/export', help='folder for CONFIG.onnx etc., or '
                        'the file of a single format (default: %(default)s)')
    parser.add_argument('--batch-size', type=int, default=1, help='default: %(default)s')
    parser.add_argument('--shape', type=int, nargs=3, metavar=('T', 'H', 'W'),
                        help='frames and pixels of a clip (default: from the test pipeline)')
    parser.add_argument('--verify', action='store_true', help='compare with PyTorch; exit status 1 '
                        'if a file differs by more than its precision explains')
    parser.add_argument('--tolerance', type=float, default=1e-4, help='largest error of a float32 '
                        'score, before the softmax (default: %(default)s)')
    parser.add_argument('--benchmark', action='store_true', help='time the formats on this CPU')
    parser.add_argument('--rounds', type=int, default=7,
                        help='rounds of the benchmark (default: %(default)s)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with exit_on(ValueError, TypeError, OSError, ExportError):
        cfg = load_config(args.config, args.cfg_options)
        paths = export.output_files(args.out, args.format, Path(args.config).stem)
        model, _ = load_recognizer(cfg, args.checkpoint)
        shape = (args.batch_size, *view_shape(cfg, args.shape))
        for name, path in export.write_formats(model, shape, paths):
            print(f'Written: {path} ({FORMATS[name].summary}, '
                  f'{path.stat().st_size / 2**20:.1f} MiB)')
    frames, agree = export.sample_frames(shape), True
    if args.verify:
        table, agree = export.verify_files(model, paths, frames, args.tolerance)
        print_table(table, f'Against PyTorch in float32, tolerance {args.tolerance:g}')
    if args.benchmark:
        print_table(export.time_files(model, paths, frames, args.rounds),
                    f'CPU, {torch.get_num_threads()} threads, batch {len(frames)}, medians of '
                    f'{args.rounds} interleaved rounds')
    if not agree:
        sys.exit('an exported file differs from PyTorch: see the table')


if __name__ == '__main__':
    main()

"""Write a csv of unlabelled windows of whole videos, for masked pretraining.

With the default numbers the 251 videos of iMiGUE's training and validation parts give 84,085
windows, all 359 videos 120,265.
"""
import os
import sys
from pathlib import Path

from gaie_mmaction.apis.unlabelled import write_windows
from gaie_mmaction.utils.command_line import Namespace, exit_on, tool_parser
from gaie_mmaction.utils.parallel import WorkerError


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('root', type=Path, help='folder of the videos, such as data/imigue/videos')
    parser.add_argument('--out', type=Path, required=True,
                        help='csv to write, such as data/imigue/windows.csv')
    parser.add_argument('--ann-files', type=Path, nargs='+', default=(), metavar='CSV',
                        help='only the videos that these annotation files name (default: all below '
                        'ROOT, those of a test part included)')
    parser.add_argument('--per-video', type=int, default=335,
                        help='windows of each video (default: %(default)s)')
    parser.add_argument('--window', type=int, default=32, help='frames of a window, clip_len x '
                        'frame_interval of the config (default: %(default)s)')
    parser.add_argument('--workers', type=int, default=os.cpu_count(), help='number of processes')
    args = parser.parse_args()
    if not args.root.is_dir():
        sys.exit(f'{args.root} is not a folder: give the one with the videos')
    return args


def main() -> None:
    args = parse_args()
    with exit_on(OSError, ValueError, WorkerError):
        num_windows, left_out = write_windows(**vars(args))
    for video, reason in left_out.items():
        print(f'left out: {video}: {reason}')
    print(f'{num_windows} windows are in {args.out}; {len(left_out)} videos were left out')


if __name__ == '__main__':
    main()

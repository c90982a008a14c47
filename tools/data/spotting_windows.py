"""Write windows of whole videos for spotting, from the output of tools/data/prepare_imigue.py.

Writes DATA/spotting: PART_segments.csv, PART_dense.csv (all windows) and, of parts with "train" in
their names, PART_windows.csv (windows of gestures and a share of background); classes.txt.
"""

from gaie_mmaction.apis.spotting_data import write_spotting_data
from gaie_mmaction.datasets import IMIGUE_CLASSES, VideoReadError
from gaie_mmaction.datasets.spotting_windows import WindowRule
from gaie_mmaction.utils.command_line import Namespace, exit_on, tool_parser


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('data', nargs='?', default='data/imigue', help='default: %(default)s')
    parser.add_argument('--parts', nargs='+', default=['train', 'val', 'test'],
                        help='annotation files, such as holdout_train (default: train val test)')
    parser.add_argument('--length', type=int, default=32, help='frames of a window (default: 32)')
    parser.add_argument('--stride', type=int, default=8, help='in frames (default: 8)')
    parser.add_argument('--min-overlap', type=float, default=.6, help='with a segment, relative to '
                        'the shorter one; less is ignored in training (default: 0.6)')
    parser.add_argument('--background-share', type=float, default=.3, help='default: 0.3')
    parser.add_argument('--hardness', type=float, default=.5,
                        help='share of the background next to segments (default: 0.5)')
    parser.add_argument('--seed', type=int, default=0, help='default: 0')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with exit_on(ValueError, OSError, VideoReadError):
        rule = WindowRule(args.length, args.stride, args.min_overlap, args.background_share,
                          args.hardness)
        report = write_spotting_data(args.data, args.parts, IMIGUE_CLASSES, rule, args.seed)
    print('\n'.join(report))


if __name__ == '__main__':
    main()

"""Fuse the scores of several networks: dumps of `mim test --dump`, matched by clip id.

Weights are given, or searched on the validation part only, whose dumps come in the same
order: --val-preds. Labelled parts get accuracies; of an unlabelled part only the
leaderboard file can be written. The accuracies are those of MMAction2's report_accuracy
(with --apply-softmax if the dumps hold logits), except that a class which is predicted but has no
clips does not enter the mean class accuracy.
"""

from gaie_mmaction.datasets import IMIGUE_CLASSES
from gaie_mmaction.evaluation.fusion import KINDS, METHODS, fuse_dumps, write_fusion
from gaie_mmaction.evaluation.submission_file import FORMATS, require_format
from gaie_mmaction.utils.command_line import Namespace, exit_on, tool_parser
from gaie_mmaction.utils.files import require_writable


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('preds', nargs='+', help='dumps, one per network')
    parser.add_argument('--weights', nargs='+', type=float,
                        help='one per network (default: equal weights)')
    parser.add_argument('--val-preds', nargs='+', default=[],
                        help='dumps of the same networks on the validation part')
    parser.add_argument('--search', choices=METHODS, help='search the weights on --val-preds')
    parser.add_argument('--calibrate', action='store_true',
                        help='fit one temperature per network on --val-preds')
    parser.add_argument('--scores', choices=KINDS,
                        help='what the dumps hold (default: probabilities where all rows of a '
                        'dump sum to 1, else logits)')
    parser.add_argument('--out', help='leaderboard file, .csv or .zip')
    parser.add_argument('--format', choices=FORMATS, default='2025',
                        help='year of the challenge (default: %(default)s)')
    parser.add_argument('--ann-file', default='data/imigue/test.csv',
                        help='annotation file of the part that --out is of (default: %(default)s)')
    parser.add_argument('--num-classes', type=int, default=len(IMIGUE_CLASSES),
                        help='number of classes for --out (default: %(default)s)')
    args = parser.parse_args()
    if (args.search or args.calibrate) and not args.val_preds:
        parser.error('--search and --calibrate need --val-preds: nothing is fitted on the clips '
                     'that are fused')
    if args.val_preds and len(args.val_preds) != len(args.preds):
        parser.error(f'--val-preds needs a dump of each of the {len(args.preds)} networks, but got '
                     f'{len(args.val_preds)}')
    if args.search and args.weights:
        parser.error('give either --weights or --search')
    return args


def main() -> None:
    args = parse_args()
    with exit_on(OSError, ValueError):
        require_format(args.out, args.format)
        if args.out:
            require_writable(args.out)
        fusion = fuse_dumps(args.preds, args.weights, args.val_preds, args.search, args.calibrate,
                            args.scores)
        print(f'the dumps hold {", ".join(fusion.kinds)}',
              f'weights {" ".join(f"{weight:.3f}" for weight in fusion.weights)}',
              *fusion.notes, sep='\n')
        if len(fusion.table):
            print(fusion.table.to_string(index=False, float_format='%.2f'))
        if args.out:
            write_fusion(fusion, args.out, args.ann_file, args.num_classes, args.format)
            print(f'{len(fusion.ids)} predictions are written to {args.out}')


if __name__ == '__main__':
    main()

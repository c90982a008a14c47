"""Turn window scores into segments by a rule that is fitted on a hold-out part.

Scores come from `mim test CONFIG ... --dump FILE` on PART_dense.csv of
tools/data/spotting_windows.py. Thresholds by class, merging and suppression are chosen for
the best F1 on the hold-out part, and written beside OUT as OUT.rule.json.
"""

from gaie_mmaction.datasets.segment_file import write_segments
from gaie_mmaction.evaluation import window_spotting as spotting
from gaie_mmaction.utils.command_line import Namespace, exit_on, tool_parser


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('windows', help='windows of the part to spot in, PART_dense.csv')
    parser.add_argument('scores', help='their scores')
    parser.add_argument('--fit', nargs=3, required=True, metavar=('WINDOWS', 'SCORES', 'SEGMENTS'),
                        help='the same files of the hold-out part, and its true segments')
    parser.add_argument('--true', metavar='SEGMENTS', help='true segments of the part, if known')
    parser.add_argument('--min-overlap', type=float, default=.3,
                        help='a hit overlaps by more (default: 0.3)')
    parser.add_argument('--out', default='segments.csv', help='default: %(default)s')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with exit_on(ValueError, OSError):
        held_out = spotting.read_frame_scores(*args.fit[:2])
        true = spotting.read_true_segments(args.fit[2], held_out)
        rule = spotting.fit_rule(held_out, true, args.min_overlap)
        scores = spotting.read_frame_scores(args.windows, args.scores)
        known = args.true and spotting.read_true_segments(args.true, scores)
        found = spotting.spot(scores, rule)
        write_segments(args.out, found)
        spotting.save_rule(f'{args.out}.rule.json', rule)
        print(spotting.describe('hold-out, fitted on it', spotting.spot(held_out, rule), true,
                                args.min_overlap))
        if args.true:
            print(spotting.describe('this part', found, known, args.min_overlap))
    print(f'Written: {len(found)} segments to {args.out}, the rule to {args.out}.rule.json')


if __name__ == '__main__':
    main()

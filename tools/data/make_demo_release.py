"""Draw a small synthetic dataset in the layout of the MiGA challenge's release.

People at a press-conference table make small gestures of eight classes.
"""
import os
from pathlib import Path

from gaie_mmaction.synthetic import make_release
from gaie_mmaction.synthetic.difficulty import DIFFICULTIES
from gaie_mmaction.utils.command_line import Namespace, exit_on, tool_parser


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('out', type=Path, help='folder of the dataset')
    parser.add_argument('--seed', type=int, default=0, help='seed of everything (default: 0)')
    parser.add_argument('--train-subjects', type=int, default=24, help='default: 24')
    parser.add_argument('--val-subjects', type=int, default=2, help='default: 2')
    parser.add_argument('--test-subjects', type=int, default=8, help='default: 8')
    parser.add_argument('--clips-per-class', type=int, default=3,
                        help='gestures of each class in each video (default: 3)')
    parser.add_argument('--gap-frames', type=int, nargs=2, default=(3, 8), metavar=('MIN', 'MAX'),
                        help='frames between two gestures (default: 3 8)')
    parser.add_argument('--difficulty', choices=DIFFICULTIES, default='normal',
                        help='hard: smaller gestures, more noise, a shaking camera, passers-by and '
                        'flashes (default: normal)')
    parser.add_argument('--workers', type=int, default=os.cpu_count(), help='number of processes')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace an older synthetic dataset')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    subjects = dict(train=args.train_subjects, validate=args.val_subjects, test=args.test_subjects)
    with exit_on(ValueError, FileExistsError):
        num_clips = make_release(args.out, args.seed, subjects, args.clips_per_class, args.workers,
                                 args.difficulty, args.overwrite, tuple(args.gap_frames))
    print(f'{num_clips} clips of {sum(subjects.values())} subjects are in {args.out}')


if __name__ == '__main__':
    main()

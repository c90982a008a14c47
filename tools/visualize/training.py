"""Write a page of one or several trainings: loss, accuracy, learning rate and times as charts."""

from gaie_mmaction.report import read_runs, write_training_page
from gaie_mmaction.utils.command_line import Namespace, exit_on, tool_parser


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR',
                        help='work folder of a training, finished or not')
    parser.add_argument('--out', default='training.html', help='page (default: %(default)s)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with exit_on(OSError, ValueError):
        runs = read_runs(args.work_dirs)
        write_training_page(runs, args.out)
    print('\n'.join([note for run in runs for note in run.notes] + [f'Written: {args.out}']))


if __name__ == '__main__':
    main()

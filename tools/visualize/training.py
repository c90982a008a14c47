"""Write a page of one or several trainings: loss, accuracy, learning rate and times as charts."""
import argparse
import sys

from gaie_mmaction.report import read_runs, write_training_page


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR',
                        help='work folder of a training, finished or not')
    parser.add_argument('--out', default='training.html', help='page (default: %(default)s)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        runs = read_runs(args.work_dirs)
        write_training_page(runs, args.out)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    print('\n'.join([note for run in runs for note in run.notes] + [f'Written: {args.out}']))


if __name__ == '__main__':
    main()

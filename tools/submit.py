"""Check a leaderboard file against the release, or convert it to another year's format."""
import argparse
import os
import sys

from gaie_mmaction.datasets import IMIGUE_CLASSES
from gaie_mmaction.evaluation import check_submission, write_submission
from gaie_mmaction.evaluation.submission_check import MAX_BYTES, MAX_RATIO
from gaie_mmaction.evaluation.submission_file import FORMATS, read_clip_ids
from gaie_mmaction.utils.command_line import Namespace, exit_on, tool_parser

NUM_CLASSES = len(IMIGUE_CLASSES)


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    commands = parser.add_subparsers(required=True, dest='command')
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    common.add_argument('file', help='csv or zip, recognised by the content, or the work folder '
                        'of a test with prediction.csv')
    common.add_argument('--ann-file', default='data/imigue/test.csv',
                        help='annotation file of the test part (default: %(default)s)')
    common.add_argument('--max-bytes', type=int, default=MAX_BYTES,
                        help='largest csv that is read (default: %(default)s)')
    common.add_argument('--max-ratio', type=int, default=MAX_RATIO,
                        help='largest size of the csv relative to its zip (default: %(default)s)')
    commands.add_parser('check', parents=[common], allow_abbrev=False,
                        help='check form, clips, order and targets')
    convert = commands.add_parser('convert', parents=[common], allow_abbrev=False,
                                  help='check, then write in a format')
    convert.add_argument('out', help='.csv or .zip')
    convert.add_argument('--format', choices=FORMATS, default='2025',
                         help='year of the challenge (default: %(default)s)')
    args = parser.parse_args()
    if os.path.isdir(args.file):
        args.file = os.path.join(args.file, 'prediction.csv')
    return args


def main() -> None:
    args = parse_args()
    with exit_on(OSError, ValueError):
        clip_ids = read_clip_ids(args.ann_file, NUM_CLASSES)
        report = check_submission(args.file, clip_ids, NUM_CLASSES, args.max_bytes, args.max_ratio)
    if report.faults:
        print(f'{args.file}: format {report.format} ({report.container}), {report.num_rows} rows '
              f'for {len(clip_ids)} clips of {args.ann_file}, {len(report.faults)} kinds of faults')
        sys.exit('\n'.join(report.fault_lines()))
    if args.command == 'check':
        print(f'{args.file}: ok, {report.num_rows} rows, format {report.format} '
              f'({report.container})')
        print('\n'.join(report.class_lines(IMIGUE_CLASSES)))
        return
    try:
        write_submission(args.out, list(report.targets), list(report.targets.values()), args.format)
    except (OSError, ValueError) as error:
        sys.exit(f'{args.out} was not written: {error}')
    print(f'{args.out}: {report.num_rows} rows, format {args.format}')


if __name__ == '__main__':
    main()

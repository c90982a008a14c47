"""Check a leaderboard file against the release, or bring it into another year's format."""
import argparse
import sys
from collections import Counter
from collections.abc import Sequence

from gaie_mmaction.datasets import IMIGUE_CLASSES
from gaie_mmaction.datasets.annotations import read_annotations
from gaie_mmaction.evaluation.submission_check import SubmissionReport, check_submission
from gaie_mmaction.evaluation.submission_file import FORMATS, examples, write_submission

NUM_CLASSES = len(IMIGUE_CLASSES)
SUSPICIOUS_SHARE = .9  # of one class; the most frequent one of the training part has 0.29


def fault_lines(report: SubmissionReport) -> list[str]:
    """A line a kind of fault: kind, number of cases, and the first of them."""
    return [f'  {kind}: {len(cases)}, e.g. {examples(cases)}'
            for kind, cases in report.faults.items()]


def class_lines(report: SubmissionReport) -> list[str]:
    """A line a class, and a warning if one takes nearly all."""
    counts = Counter(report.targets.values())
    lines = ['class  clips']
    lines += [f'{label:5} {counts[label]:6}  {name}' for label, name in enumerate(IMIGUE_CLASSES)]
    (most, number), = counts.most_common(1)
    share = number / counts.total()
    if share > SUSPICIOUS_SHARE:
        lines.append(f'warning: {100 * share:.1f} % of the clips are predicted as class {most} '
                     f'({IMIGUE_CLASSES[most]})')
    return lines


def load(path: str, ann_file: str) -> SubmissionReport:
    """The checked file; ends the program if it has a fault."""
    try:
        clips = read_annotations(ann_file, NUM_CLASSES)
        report = check_submission(path, [clip['clip_id'] for clip in clips], NUM_CLASSES)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    if report.faults:
        print(f'{path}: format {report.format} ({report.container}), {report.num_rows} rows for '
              f'{len(clips)} clips of {ann_file}, {len(report.faults)} kinds of faults')
        sys.exit('\n'.join(fault_lines(report)))
    return report


def check(args: argparse.Namespace) -> None:
    """Print ``ok`` and the classes, or the faults."""
    report = load(args.file, args.ann_file)
    print(f'{args.file}: ok, {report.num_rows} rows, format {report.format} ({report.container})')
    print('\n'.join(class_lines(report)))


def convert(args: argparse.Namespace) -> None:
    """Write a checked file in another format."""
    report = load(args.file, args.ann_file)
    try:
        write_submission(args.out, list(report.targets), list(report.targets.values()), args.format)
    except (OSError, ValueError) as error:
        sys.exit(f'{args.out} was not written: {error}')
    print(f'{args.out}: {report.num_rows} rows, format {args.format}')


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument('file', help='csv or zip; the format is recognised by the content')
    common.add_argument('--ann-file', default='data/imigue/test.csv',
                        help='annotation file of the test part (default: %(default)s)')
    command = commands.add_parser('check', parents=[common],
                                  help='test form, clips, order and targets')
    command.set_defaults(run=check)
    command = commands.add_parser('convert', parents=[common],
                                  help='check, then write in a format')
    command.add_argument('out', help='.csv or .zip')
    command.add_argument('--format', choices=FORMATS, default='2025',
                         help='year of the challenge (default: %(default)s)')
    command.set_defaults(run=convert)
    args = parser.parse_args(argv)
    args.run(args)


if __name__ == '__main__':
    main()

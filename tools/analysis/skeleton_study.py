"""Compare masked motion pretraining with training from scratch on UTD-MHAD's skeletons.

A small transformer is pretrained on all clips of the training subjects, without their labels, then
finetuned with a share of the labels; the same transformer from scratch and an ST-GCN have the same
labels. The same command resumes a study that was stopped.
"""
from pathlib import Path

from mmengine.config import Config

from gaie_mmaction.benchmark import study as studies
from gaie_mmaction.benchmark.skeleton_study import (
    TRAINING_SUBJECTS,
    SkeletonStudy,
    convert_utd_mhad,
    make_table,
    run_study,
)
from gaie_mmaction.benchmark.study_report import put_table
from gaie_mmaction.utils.command_line import Namespace, at_least_one, tool_parser


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('data', type=Path, nargs='?', help='UTD-MHAD as .npz: joints (all frames, '
                        '20, 3), and length, action, subject and trial of each sequence')
    parser.add_argument('--workers', type=at_least_one, default=1,
                        help='runs at a time, one thread each (default: %(default)s)')
    parser.add_argument('--hold-out', type=int, choices=TRAINING_SUBJECTS, metavar='SUBJECT',
                        help='train without this training subject (1, 3, 5 or 7) and test on it, '
                        'one seed, to choose a recipe; only prints the table')
    parser.add_argument('--report', action='store_true',
                        help='write the table from the csv, and run nothing')
    args = parser.parse_args()
    if args.report == bool(args.data):
        parser.error('give either the data or --report')
    return args


def main() -> None:
    args = parse_args()
    config = studies.CONFIGS / 'utd_mhad.py'
    table, document = (studies.ROOT / 'docs' / name for name in ('study/utd_mhad.csv',
                                                                 'skeletons.md'))
    cfg, work_dir = Config.fromfile(config), studies.ROOT / 'work_dirs' / 'study' / 'utd_mhad'
    if args.report:
        rows = studies.read_rows(table)
    else:
        work_dir.mkdir(parents=True, exist_ok=True)
        study = SkeletonStudy(config, work_dir / 'skeletons.pkl', work_dir, args.hold_out or 0)
        convert_utd_mhad(args.data, study.skeletons, cfg)
        rows = (run_study(study, None, args.workers, seeds=1) if args.hold_out else
                run_study(study, table, args.workers))
    lines = make_table(rows, cfg.study)
    if args.hold_out:
        print('\n'.join(lines))
    else:
        put_table(document, 'utd_mhad', lines)


if __name__ == '__main__':
    main()

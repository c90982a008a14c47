"""Train RGB, Taylor frames and optical flow on real footage, and fuse them with equal weights.

Five folds, each tested by a network that is trained on the others. Writes docs/study/streams.csv,
the probabilities of all clips, and the table of docs/streams.md. Run again, it continues.
"""
from pathlib import Path

import pandas as pd
from mmengine.config import Config

from gaie_mmaction.benchmark import study as studies
from gaie_mmaction.benchmark.stream_study import make_table, run_streams
from gaie_mmaction.benchmark.study_report import put_table
from gaie_mmaction.benchmark.tables import write_csv
from gaie_mmaction.utils.command_line import Namespace, at_least_one, tool_parser


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('footage', type=Path, nargs='?', help='folder of videos with labels.csv')
    parser.add_argument('--workers', type=at_least_one, default=1,
                        help='trainings at a time, one thread each (default: %(default)s)')
    parser.add_argument('--device', default='cpu', help='cpu, cuda or cuda:N (default: cpu)')
    parser.add_argument('--report', action='store_true',
                        help='write the table from the csv, and run nothing')
    args = parser.parse_args()
    if args.report == bool(args.footage):
        parser.error('give either the footage or --report')
    return args


def main() -> None:
    args = parse_args()
    table, document = (studies.ROOT / 'docs' / name for name in ('study/streams.csv', 'streams.md'))
    if not args.report:
        write_csv(run_streams(args.footage.resolve(), studies.ROOT / 'work_dirs' / 'study',
                              args.workers, args.device), table)
    cfg = Config.fromfile(studies.CONFIGS / 'egogestar.py')
    put_table(document, 'streams', make_table(pd.read_csv(table), cfg.study.chosen_on))


if __name__ == '__main__':
    main()

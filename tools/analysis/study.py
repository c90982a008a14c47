"""Train and test every token reducer alike, and compare them at the same cost.

A plain ViT is trained with every seed; these are the starting weights. Each arm of the study (the
plain ViT again, each reducer) is finetuned from the starting weights of its seed, on the same clips
in the same order. The starting weights are also tested with each reducer put in, without
finetuning. The same command resumes a study that was stopped.
"""
from pathlib import Path

import pandas as pd
from mmengine.config import Config, DictAction

from gaie_mmaction.benchmark import study as studies
from gaie_mmaction.benchmark.study_regions import draw_regions, run_regions
from gaie_mmaction.benchmark.study_report import print_choice, write_report
from gaie_mmaction.utils.command_line import Namespace, at_least_one, tool_parser

CHOSEN = ('egogestar', 'egogestar_flow')  # whose recipe was chosen on some of the folds
FOOTAGE = (*CHOSEN, 'pretraining_flow')  # studies of clips that the user has


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('--data', default='embedded', choices=(
        'embedded', *FOOTAGE, 'ablation', 'choice', 'tome_blocks', 'pretraining',
        'pretraining_raw'),
                        help='which study: the reducers on the synthetic dataset or on real '
                        'footage, its frames or its optical flow, variants of GAIE, the choice of '
                        'GAIE+, the blocks of ToMe, or masked pretraining with and without '
                        'SubtractClipMean or on the flow of real footage (default: %(default)s)')
    parser.add_argument('--root', type=Path,
                        help=f'folder of the footage with labels.csv, for {", ".join(FOOTAGE)}; '
                        'the other studies draw their data')
    parser.add_argument('--workers', type=at_least_one, default=1,
                        help='runs at a time, one thread each (default: %(default)s)')
    parser.add_argument('--device', default='cpu', help='cpu, cuda or cuda:N (default: cpu)')
    parser.add_argument('--report', action='store_true',
                        help='write tables and picture from the csv, and run nothing')
    parser.add_argument('--choose', action='store_true',
                        help='print the accuracy of the plain ViT on the folds that the recipe was '
                        'chosen on, each left out in turn, and run nothing else')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='changes of the recipe, with --choose only')
    args = parser.parse_args()
    if (args.data in FOOTAGE) != (args.root is not None) and not args.report:
        parser.error(f'--data {", ".join(FOOTAGE)} need --root, the folder with labels.csv; the '
                     'other studies draw their data')
    if args.choose and args.data not in CHOSEN:
        parser.error(f'--choose needs --data {" or ".join(CHOSEN)}: no other recipe was chosen on '
                     'some of the folds')
    if args.cfg_options and not args.choose:
        parser.error('--cfg-options needs --choose: a study has the recipe of its config')
    return args


def main() -> None:
    args = parse_args()
    docs = studies.ROOT / 'docs'
    config, table = studies.CONFIGS / f'{args.data}.py', docs / 'study' / f'{args.data}.csv'
    regions = table.with_name(f'{args.data}_regions.csv')
    work_dir = studies.ROOT / 'work_dirs' / 'study' / args.data
    cfg = Config.fromfile(config)
    if args.choose:
        cfg.merge_from_dict(args.cfg_options or {})
        config = work_dir / 'choice.py'
        work_dir.mkdir(parents=True, exist_ok=True)
        cfg.dump(config)
    if not args.report:
        study = studies.open_study(config, work_dir, args.device,
                                   args.root and args.root.resolve(), args.workers)
        if args.choose:
            print_choice(studies.run_jobs(
                studies.choose_fold, [(fold, ) for fold in cfg.study.chosen_on], study,
                args.workers))
            return
        studies.run_study(study, table, args.workers)
        run_regions(study, studies.read_rows(table), regions, args.workers)
    rows = studies.read_rows(table)
    write_report(args.data, cfg.study, rows, docs / f'{cfg.study.page}.md')
    if regions.exists():
        draw_regions(rows, pd.read_csv(regions, dtype=dict(budget=str)), cfg.study.budgets,
                     regions.with_suffix('.png'))


if __name__ == '__main__':
    main()

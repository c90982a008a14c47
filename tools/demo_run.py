"""The whole main job on a synthetic dataset: draw, prepare, train, test, compare, show."""
from pathlib import Path

from rich.console import Console

from gaie_mmaction.apis.training import run_demo, run_tool, test, train
from gaie_mmaction.synthetic.dataset import draw_dataset
from gaie_mmaction.utils.command_line import Namespace, tool_parser

DATA, WORK = 'data/demo', 'work_dirs/demo'
MODELS = {'vivit_demo': 'plain ViT', 'gaie_demo': 'GAIE'}  # ratios are to the first
OUTPUTS = f"""\
release: {DATA}_release
annotation files and report: {DATA}
logs and checkpoints: {WORK}/gaie_demo, {WORK}/vivit_demo
leaderboard file: {WORK}/gaie_demo/prediction.csv
comparison: {WORK}/compare
picture of kept and merged tokens: {WORK}/token_map.png
page of results: {WORK}/report/index.html"""
console = Console()


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('--data-only', action='store_true', help='only draw and prepare the data')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    console.rule('Drawing and preparing a synthetic dataset')
    draw_dataset(DATA, redraw=True)
    if args.data_only:
        return
    models, dumps = [], []
    for name, title in MODELS.items():
        config, work_dir = f'configs/demo/{name}.py', f'{WORK}/{name}'
        console.rule(f'Training: {title}')
        checkpoint = train(config, work_dir)
        models.append(f'{config}:{checkpoint}')
        console.rule(f'Testing on unseen subjects: {title}')
        dumps.append(f'{work_dir}/scores.pkl')
        test(config, checkpoint, f'{work_dir}/test', dump=dumps[-1],
             # --dump makes a list of the evaluator
             options=[f'test_evaluator.0.out_file={work_dir}/prediction.csv'])
    console.rule('Comparison')
    run_tool('tools/analysis/compare.py', *models, '--batch-sizes', '8', '--rounds', '31',
             '--train', 'step', '--device', 'cpu', '--out', f'{WORK}/compare')
    console.print('With so few tokens merging costs as much time as it saves; at full size see '
                  'tools/analysis/get_flops.py configs/gaie_vitb_imigue.py')
    clip_id = Path(DATA, 'test.csv').read_text(encoding='utf-8').splitlines()[1].split(',')[0]
    console.rule('Picture of a test clip')
    run_tool('tools/visualize/token_map.py', config, str(checkpoint), '--clip-id', clip_id,
             '--out', f'{WORK}/token_map.png')
    console.rule('Page of results')
    run_tool('tools/visualize/report.py', config, '--scores', *reversed(dumps), '--previews',
             '--out', f'{WORK}/report')
    console.rule('Outputs')
    console.print(OUTPUTS, highlight=False)


if __name__ == '__main__':
    run_demo(main, __file__)

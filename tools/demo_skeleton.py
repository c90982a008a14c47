"""A skeleton stream on the demo's synthetic dataset, fused with the scores of its RGB network.

The dataset and the RGB network are those of `make demo`; they are made if they are missing.
"""
from pathlib import Path

from rich.console import Console

from gaie_mmaction.apis.training import last_checkpoint, run_demo, run_tool, test, train
from gaie_mmaction.synthetic.dataset import draw_dataset
from gaie_mmaction.utils.command_line import tool_parser

DATA, WORK = 'data/demo', 'work_dirs/demo'
RGB, SKELETON = 'gaie_demo', 'stgcn_demo'
PART_OPTIONS = {RGB: 'ann_file={}.csv', SKELETON: 'split={}'}  # what chooses a part of the dataset
console = Console()


def main() -> None:
    tool_parser(__doc__).parse_args()
    draw_dataset(DATA, redraw=not Path(DATA, 'skeleton.pkl').exists())
    dumps: dict[str, list[str]] = dict(val=[], test=[])
    for name, part_option in PART_OPTIONS.items():
        config, work_dir = f'configs/demo/{name}.py', f'{WORK}/{name}'
        checkpoint = last_checkpoint(work_dir) if name == RGB else None
        if checkpoint is None:
            console.rule(f'Training: {name}')
            checkpoint = train(config, work_dir)
        for part, paths in dumps.items():
            console.rule(f'Scores of the {part} part: {name}')
            paths.append(f'{work_dir}/{part}.pkl')
            test(config, checkpoint, f'{work_dir}/{part}', dump=paths[-1], options=[
                f'test_dataloader.dataset.{part_option.format(part)}',
                'test_evaluator.0.out_file=None'])
    console.rule('Late fusion; weights from the validation part')
    out = f'{WORK}/fused_prediction.csv'
    run_tool('tools/fuse_scores.py', *dumps['test'], '--val-preds', *dumps['val'], '--search',
             'grid', '--ann-file', f'{DATA}/test.csv', '--out', out)
    console.rule('Outputs')
    console.print(f'skeletons: {DATA}/skeleton.pkl\nlogs, checkpoints and scores: {WORK}/{RGB}, '
                  f'{WORK}/{SKELETON}\nfused leaderboard file: {out}', highlight=False)


if __name__ == '__main__':
    run_demo(main, __file__)

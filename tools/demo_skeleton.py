"""A skeleton stream on the invented release of the demo, fused with the scores of its RGB network.

The release and the RGB network are taken from `make demo`, and made where they are missing.
"""
from demo_run import DATA, RELEASE, ROOT, WORK, checkpoint_of, console, run

RGB, SKELETON = 'gaie_demo', 'stgcn_demo'
# what chooses a part, in the one dataset and in the other
PART_OPTION = {RGB: 'ann_file={}.csv', SKELETON: 'split={}'}
TITLES = {RGB: 'GAIE', SKELETON: 'ST-GCN, joints'}


def train(config: str) -> None:
    """Train a config of the demo through mim."""
    run(f'Training: {TITLES[config]}', 'mim', 'train', 'mmaction', f'configs/demo/{config}.py',
        '--gpus', '0', '--work-dir', f'{WORK}/{config}')


def dump(config: str, part: str) -> str:
    """Test a network on a part and keep its scores.

    Returns:
        str: Path of the dump.
    """
    path = f'{WORK}/{config}/{part}.pkl'
    run(f'Scores of the {part} part: {TITLES[config]}', 'mim', 'test', 'mmaction',
        f'configs/demo/{config}.py', '--checkpoint', checkpoint_of(config), '--gpus', '0',
        '--work-dir', f'{WORK}/{config}/{part}', '--dump', path, '--cfg-options',
        f'test_dataloader.dataset.{PART_OPTION[config].format(part)}',
        'test_evaluator.0.out_file=None')
    return path


def main() -> None:
    if not (ROOT / DATA / 'skeleton.pkl').exists():
        run('Drawing an invented release', 'python', 'tools/data/make_demo_release.py', RELEASE,
            '--overwrite')
        run('Preparing it', 'python', 'tools/data/prepare_imigue.py', RELEASE, '--out', DATA,
            '--test-labels', f'{RELEASE}/test_answers.csv')
    if not (ROOT / WORK / RGB / 'last_checkpoint').exists():
        train(RGB)
    train(SKELETON)
    dumps = {part: [dump(config, part) for config in (RGB, SKELETON)] for part in ('val', 'test')}
    out = f'{WORK}/fused_prediction.csv'
    run('Late fusion; weights from the validation part', 'python', 'tools/fuse_scores.py',
        *dumps['test'], '--val-preds', *dumps['val'], '--search', 'grid', '--ann-file',
        f'{DATA}/test.csv', '--out', out)
    console.rule('Where everything lies')
    for what, where in (('skeletons', f'{DATA}/skeleton.pkl'),
                        ('logs, checkpoints and scores', f'{WORK}/{RGB}, {WORK}/{SKELETON}'),
                        ('fused leaderboard file', out)):
        console.print(f'{what}: {where}', highlight=False)


if __name__ == '__main__':
    main()

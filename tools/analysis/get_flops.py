"""Print what a config's model costs: true GMACs, the paper's convention, parameters."""
import argparse

from mmengine.config import Config, DictAction
from rich.console import Console
from rich.table import Table

from gaie_mmaction.benchmark import Complexity, build_recognizer, measure_complexity, view_shape


def make_table(complexity: Complexity) -> Table:
    """GMACs and parameters by module group."""
    table = Table('group', title='one view of ' + ' x '.join(map(str, complexity.shape)))
    table.add_column('GMACs (true)', justify='right')
    table.add_column('parameters (M)', justify='right')
    groups = dict.fromkeys([*complexity.true_groups, *complexity.parameter_groups])
    for group in groups:
        macs = complexity.true_groups.get(group, 0) / 1e9
        parameters = complexity.parameter_groups.get(group)
        table.add_row(group, f'{macs:.3f}', '' if parameters is None else f'{parameters / 1e6:.3f}')
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--shape', type=int, nargs=4, metavar=('C', 'T', 'H', 'W'),
                        help='input of one view (default: 3, and clip_len and crop_size of the '
                        'test pipeline)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes of the config')
    args = parser.parse_args()
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    try:
        shape = args.shape or view_shape(cfg)
    except ValueError as error:
        parser.error(str(error))
    complexity = measure_complexity(build_recognizer(cfg, device='meta'), shape)
    console = Console()
    console.print(make_table(complexity))
    console.print(f'true:               {complexity.true_macs / 1e9:.3f} GMACs per view '
                  '(every multiply-add once, attention and matching included)')
    console.print(f'paper\'s convention: {complexity.paper_macs / 1e9:.3f} GMACs per view '
                  '(as thop counts: modules alone, no functional qkv, no attention products)')
    console.print(f'parameters:         {complexity.parameters / 1e6:.3f} M')


if __name__ == '__main__':
    main()

"""Print what a config's model costs: true GMACs, the paper's convention, parameters."""

import pandas as pd
from mmengine.config import DictAction

from gaie_mmaction.apis import build_recognizer, load_config, view_shape
from gaie_mmaction.benchmark import measure_complexity, print_table
from gaie_mmaction.utils.command_line import Namespace, exit_on, tool_parser


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--shape', type=int, nargs=3, metavar=('T', 'H', 'W'),
                        help='frames and pixels of a view (default: of the test pipeline)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='config overrides')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with exit_on(ValueError, OSError):
        cfg = load_config(args.config, args.cfg_options)
        view = view_shape(cfg, args.shape)
    cost = measure_complexity(build_recognizer(cfg, device='meta'), view)
    groups = pd.DataFrame({'GMACs (true)': cost.true_groups, 'parameters (M)':
                           cost.parameter_groups}).fillna(0) / [1e9, 1e6]
    print_table(groups.map('{:.3f}'.format).rename_axis('group').reset_index(),
                'One view of ' + ' x '.join(map(str, view)))
    print(f'true:               {cost.true_macs / 1e9:.3f} GMACs per view '
          '(every multiply-add once, attention and matching included)')
    print(f"paper's convention: {cost.paper_macs / 1e9:.3f} GMACs per view "
          '(as thop counts: modules alone, no functional qkv, no attention products)')
    print(f'parameters:         {cost.parameters / 1e6:.3f} M')


if __name__ == '__main__':
    main()

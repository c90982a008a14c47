"""Print what a config's model costs: true GMACs, the paper's convention, parameters."""
import argparse
import sys

import pandas as pd
from mmengine.config import DictAction

from gaie_mmaction.apis import build_recognizer, load_config, view_shape
from gaie_mmaction.benchmark import measure_complexity, print_table


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument('config', help='config file')
    parser.add_argument('--shape', type=int, nargs=3, metavar=('T', 'H', 'W'),
                        help='frames and pixels of a view (default: of the test pipeline)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='config overrides')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        cfg = load_config(args.config, args.cfg_options)
        view = view_shape(cfg, args.shape)
    except (ValueError, OSError) as error:
        sys.exit(str(error))
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

"""Measure kept tokens and accuracy when only some queries give the importance.

The test clips are run with all queries and with each number of them, by the same weights.
"""
import argparse
import sys

from mmengine.config import DictAction

from gaie_mmaction.apis import load_config
from gaie_mmaction.benchmark import print_table
from gaie_mmaction.benchmark.importance_queries import measure_queries


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False)
    parser.add_argument('config', help='config of a model with a GAIENeck')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('--queries', type=int, nargs='+', required=True,
                        help='numbers of queries, from 1 to the number of tokens')
    parser.add_argument('--device', default='cpu', help='cpu, cuda or cuda:N (default: cpu)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='config overrides')
    args = parser.parse_args()
    if min(args.queries) < 1:
        parser.error(f'--queries must be at least 1, but got {min(args.queries)}')
    return args


def main() -> None:
    args = parse_args()
    try:
        cfg = load_config(args.config, args.cfg_options)
        table = measure_queries(cfg, args.checkpoint, args.queries, args.device)
    except (OSError, ValueError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    print_table(table, 'Importance from some of the queries')


if __name__ == '__main__':
    main()

"""Measure kept tokens and accuracy when only some queries give the importance.

The test clips are run with all queries and with each number of them, by the same weights.
"""
import sys

from gaie_mmaction.apis import load_config
from gaie_mmaction.benchmark import print_table
from gaie_mmaction.benchmark.importance_queries import measure_queries
from gaie_mmaction.utils.command_line import Namespace, add_model, at_least_one, tool_parser


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    add_model(parser, 'config of a model with a GAIENeck')
    parser.add_argument('--queries', type=at_least_one, nargs='+', required=True,
                        help='numbers of queries, from 1 to the number of tokens')
    parser.add_argument('--device', default='cpu', help='cpu, cuda or cuda:N (default: cpu)')
    return parser.parse_args()


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

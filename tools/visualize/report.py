"""Write a page of results: accuracy, confusion matrix, calibration, and every clip to look at."""
import os
from pathlib import Path

from mmengine.config import DictAction

from gaie_mmaction.apis import load_config
from gaie_mmaction.apis.training import test
from gaie_mmaction.report import make_previews, make_token_previews, read_results, write_page
from gaie_mmaction.utils.command_line import Namespace, exit_on, tool_parser


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('config', help='config file; its test part is shown')
    parser.add_argument('checkpoint', nargs='?', help='without --scores it is tested first, into '
                        'OUT/scores.pkl; previews show which tokens it keeps')
    parser.add_argument('--scores', nargs='+', metavar='DUMP',
                        help='dumps of `mim test --dump` on the same clips, one per network')
    parser.add_argument('--out', default='report', help='folder (default: %(default)s)')
    parser.add_argument('--previews', action='store_true', help='add a small video of each clip')
    parser.add_argument('--workers', type=int, default=os.cpu_count() or 1,
                        help='processes for the previews (default: %(default)s)')
    parser.add_argument('--device', default='cpu', help='for the checkpoint (default: %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='config overrides')
    args = parser.parse_args()
    if not (args.checkpoint or args.scores):
        parser.error('give a checkpoint, or --scores, or both')
    return args


def main() -> None:
    args = parse_args()
    out = Path(args.out)
    with exit_on(ChildProcessError, OSError, ValueError):
        cfg = load_config(args.config, args.cfg_options)
        dumps = args.scores or [str(out / 'scores.pkl')]
        if not args.scores:
            # the changed config as a file: `mim test` takes options as text alone
            out.mkdir(parents=True, exist_ok=True)
            cfg.dump(out / 'config.py')
            test(out / 'config.py', args.checkpoint, out / 'test', device=args.device,
                 dump=dumps[0])
        results = read_results(cfg, dumps)
        previews: list[str | None] = []
        tokens: list[str | None] = []
        if args.previews:
            previews, notes = make_previews(results.clips, out / 'previews', args.workers)
            results.notes += notes
        if args.previews and args.checkpoint:
            tokens, notes = make_token_previews(cfg, args.checkpoint, results.clips, previews,
                                                out / 'previews', args.device)
            results.notes += notes
        path = write_page(results, out, previews, tokens)
    print('\n'.join([*results.notes, f'Written: {path}']))


if __name__ == '__main__':
    main()

"""Make an entry to the leaderboard from one file: train, test, fuse, check and report.

The same command goes on after an interruption. Only streams that are new or changed are trained.
"""
import sys

from mmengine.registry import init_default_scope
from rich.console import Console

from gaie_mmaction.benchmark import print_table
from gaie_mmaction.entry import describe_entry, load_entry, run_entry
from gaie_mmaction.release import ReleaseError
from gaie_mmaction.utils.command_line import Namespace, tool_parser
from gaie_mmaction.utils.files import FolderInUseError


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('entry', help='file of the entry, such as entries/gaie.yaml')
    parser.add_argument('--device', default='cpu', help='cpu, cuda or cuda:N (default: cpu)')
    parser.add_argument('--gpus', type=int, default=1,
                        help='GPUs per training (default: %(default)s)')
    parser.add_argument('--dry-run', action='store_true',
                        help='print what would be run and what it costs, and run nothing')
    args = parser.parse_args()
    if args.gpus < 1 or (args.gpus > 1 and args.device != 'cuda'):
        parser.error('several --gpus need --device cuda')
    return args


def main() -> None:
    args, console = parse_args(), Console()
    try:
        entry = load_entry(args.entry)
        init_default_scope('mmaction')
        if args.dry_run:
            table, problems = describe_entry(entry)
            print_table(table, f'{args.entry}: what would be run', console)
            if problems:
                sys.exit('it would not run:\n  ' + '\n  '.join(problems))
            return
        report = run_entry(entry, args.device, args.gpus)
    except KeyboardInterrupt:
        sys.exit('stopped: run again, and it goes on')
    except (OSError, ValueError, ChildProcessError, FolderInUseError, ReleaseError) as error:
        sys.exit(f'{error}\nwhat was done is kept: mend it and run again')
    console.print(report.read_text(encoding='utf-8'), highlight=False, markup=False, soft_wrap=True)
    console.print(f'leaderboard file: {entry.out}\nreport: {report}', highlight=False)


if __name__ == '__main__':
    main()

"""Check clips before training: open and decode every one, and count the classes.

Exit status 1 if any clip is unusable.
"""
import os
import sys

from mmengine.config import Config
from rich.console import Console

from gaie_mmaction.datasets.check import ClipSet, check_clips, find_clip_sets
from gaie_mmaction.datasets.imigue_classes import IMIGUE_CLASSES
from gaie_mmaction.utils.command_line import Namespace, at_least_one, exit_on, tool_parser


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('clips', help='config, clip list or segment csv')
    parser.add_argument('--data-root', help="folder of the list's videos, or data_root of the "
                        'config (default: folder of the list; as in the config)')
    parser.add_argument('--num-classes', type=int, default=len(IMIGUE_CLASSES),
                        help="classes of a list (default: iMiGUE's %(default)s); a config has its "
                        'own')
    parser.add_argument('--workers', type=at_least_one, default=os.cpu_count(),
                        help='number of processes')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    console = Console(highlight=False, soft_wrap=True, markup=False)
    if args.clips.endswith('.py'):
        with exit_on(ValueError, OSError):
            sets = find_clip_sets(Config.fromfile(args.clips), args.data_root)
    else:
        folder = os.path.dirname(args.clips) if args.data_root is None else args.data_root
        sets = [ClipSet(args.clips, folder, args.num_classes)]
    unusable = 0
    for clips in sets:
        try:
            counts, problems = check_clips(clips, args.workers)
        except (FileNotFoundError, ValueError) as error:
            console.print(f'unusable: {error}')
            unusable += 1
            continue
        for problem in problems:
            kind = 'unusable' if problem.unusable else 'note'
            console.print(f'{kind}: clip {problem.clip_id}: {problem.reason}')
        bad = len({problem.clip_id for problem in problems if problem.unusable})
        unusable += bad
        console.print(f'{clips.ann_file}: {counts.total()} clips, {bad} unusable, '
                      f'{counts.pop(-1, 0)} unlabelled')
        console.print('clips by class: ' + ', '.join(
            f'{label}: {counts[label]}' for label in range(clips.num_classes)))
    sys.exit(bool(unusable))


if __name__ == '__main__':
    main()

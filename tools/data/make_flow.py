"""Write the optical flow of clips, by OpenCV's DIS, as videos for the flow configs.

OUT/<clip_id>.mp4 holds the flow from each frame of a clip to the next. A second run does only what
is missing. Flow of another method goes there in the same form, see docs/streams.md.
"""
import os
import sys
from pathlib import Path

from gaie_mmaction.release import ReleaseError
from gaie_mmaction.release.flow import make_flow
from gaie_mmaction.utils.command_line import Namespace, at_least_one, tool_parser
from gaie_mmaction.utils.files import FolderInUseError
from gaie_mmaction.utils.parallel import WorkerError


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('ann_files', nargs='*', metavar='ANN_FILE',
                        default=['data/imigue/trainval.csv', 'data/imigue/test.csv'],
                        help='annotation files (default: %(default)s)')
    parser.add_argument('--videos', type=Path, default='data/imigue/videos',
                        help='folder of their videos (default: %(default)s)')
    parser.add_argument('--out', type=Path, default='data/imigue/flow',
                        help='folder of the flow (default: %(default)s)')
    parser.add_argument('--workers', type=at_least_one, default=os.cpu_count(),
                        help='number of processes (default: %(default)s)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        total, written, failures = make_flow(**vars(args))
    except KeyboardInterrupt:
        sys.exit('stopped; finished clips are kept, and run again it does only what is missing')
    except (OSError, ValueError, ReleaseError, FolderInUseError, WorkerError) as error:
        sys.exit(str(error))
    print(f'{total} clips in {args.out}: {written} written, '
          f'{total - written - len(failures)} were there')
    if failures:
        sys.exit('\n'.join([f'{len(failures)} clips have no flow:', *failures]))


if __name__ == '__main__':
    main()

"""Turn a copy of SMG into the files that the datasets read.

ROOT holds the folders Sample0001 to Sample0040. OUT gets train (1-35) and test (36-40) as .csv
(segments of whole videos) and .txt (cut clips); spotting/PART_segments.csv and
spotting/PART_joints.npz for the temporal detector; report.txt and .json; videos, a link to ROOT.
"""
import sys
from pathlib import Path

from gaie_mmaction.release.report import ReleaseError
from gaie_mmaction.release.smg import prepare_smg
from gaie_mmaction.utils.command_line import Namespace, exit_on, tool_parser
from gaie_mmaction.utils.files import FolderInUseError


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('root', type=Path, help='folder with the samples')
    parser.add_argument('--out', type=Path, default='data/smg', help='default: %(default)s')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if not args.root.is_dir():
        sys.exit(f'{args.root} is not a folder: give the one with the samples')
    with exit_on(ReleaseError, FolderInUseError, OSError):
        report = prepare_smg(args.root, args.out)
    print(report.text())


if __name__ == '__main__':
    main()

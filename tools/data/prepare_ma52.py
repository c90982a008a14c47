"""Turn a copy of Micro-Action-52 into the clip lists and skeletons that the datasets read.

ROOT holds the public lists (train_list_videos.txt, val_list_videos.txt, test_list_videos.txt), and
train.zip, val.zip and test.zip, packed or unpacked, or the skeletons (MA52_train.pkl, MA52_val.pkl
and MA52_test.pkl), or both. OUT gets train, val, test, trainval, holdout_train and holdout_val (no
first field of a name in both), each as .txt and as a split of skeleton.pkl; report.txt,
report.json; and videos, a link to ROOT.
"""
import sys
from pathlib import Path

from gaie_mmaction.release.ma52 import prepare_ma52
from gaie_mmaction.release.report import ReleaseError
from gaie_mmaction.utils.command_line import Namespace, exit_on, tool_parser
from gaie_mmaction.utils.files import FolderInUseError


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('root', type=Path, help='folder with lists and videos')
    parser.add_argument('--out', type=Path, default='data/ma52', help='default: %(default)s')
    parser.add_argument('--max-unpacked-ratio', type=float, default=100, help='refuse zips that '
                        'unpack to more than this multiple of their size (default: 100)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if not args.root.is_dir():
        sys.exit(f'{args.root} is not a folder: give the one with lists and videos')
    with exit_on(ReleaseError, FolderInUseError, OSError):
        report = prepare_ma52(args.root, args.out, args.max_unpacked_ratio)
    print(report.text())


if __name__ == '__main__':
    main()

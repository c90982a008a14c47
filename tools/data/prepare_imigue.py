"""Turn a release of iMiGUE into the files that the datasets read.

ROOT is the folder with the challenge's zips, packed or unpacked, or with the licensed release.
Folder names tell the parts. Run again, it does only what is missing or has changed.

OUT gets train, val, test, trainval, holdout_train and holdout_val (a validation part of other
people, or without --subjects of other videos), with subjects also xsub_train and xsub_test (the
paper's cross-subject protocol), each as .csv (segments of whole videos) and .txt (cut clips);
skeleton.pkl, label_map.txt, report.txt, report.json, report.html; and videos, a link to ROOT.
"""
import argparse
import os
import signal
import sys
from pathlib import Path

STOPPED = '\nstopped; finished work is kept, and run again it does only what is missing'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('root', type=Path, help='folder with the release')
    parser.add_argument('--out', type=Path, default='data/imigue', help='default: %(default)s')
    parser.add_argument('--subjects', type=Path, metavar='CSV', help='labels_20200831.csv of the '
                        'licensed release (default: the one below ROOT)')
    parser.add_argument('--test-labels', type=Path, metavar='CSV',
                        help='csv clip_id,label with the labels of the test part, if you have them')
    parser.add_argument('--cut', action='store_true', help='also cut every clip into a short '
                        'video, OUT/clips/<clip_id>.mp4, which loads faster')
    parser.add_argument('--previews', action='store_true',
                        help='add small videos of each class to report.html')
    parser.add_argument('--workers', type=int, default=os.cpu_count(),
                        help='number of processes (default: %(default)s)')
    parser.add_argument('--max-unpacked-ratio', type=float, default=100, help='refuse zips that '
                        'unpack to more than this multiple of their size (default: 100)')
    parser.add_argument('--joints', type=int, choices=(22, 137), default=22, help="the challenge "
                        "kit's 22, or all of OpenPose's workbooks, into OUT/skeleton137.pkl "
                        '(default: 22)')
    args = parser.parse_args()
    if not args.root.is_dir():
        sys.exit(f'{args.root} is not a folder: give the one with the release')
    if args.workers < 1:
        sys.exit(f'--workers must be at least 1, but got {args.workers}')
    return args


def main() -> None:
    # the imports take seconds, and some of them swallow a KeyboardInterrupt
    signal.signal(signal.SIGINT, lambda *_: (print(STOPPED, file=sys.stderr), os._exit(130)))
    args = parse_args()
    from gaie_mmaction.release import ReleaseError, prepare
    from gaie_mmaction.utils.files import FolderInUseError
    from gaie_mmaction.utils.parallel import WorkerError
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        report = prepare(**vars(args))
    except (ReleaseError, FolderInUseError, WorkerError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        sys.exit(f'{error.filename or args.out} cannot be written: {error.strerror}. What is there '
                 'is complete: mend it and run again, which does only what is missing')
    print(report.text())
    if args.cut:
        print(f'{report.clips_cut} clips were cut into {args.out / "clips"}, the others were there')
    print(f'Annotation files, report.html and the link to the videos are in {args.out}')
    if report.unplaced_videos:
        sys.exit(f'Labelled videos left out: {report.unplaced_videos}, listed as "unknown part". '
                 'Name their folders after train, validation or test, and run again')


if __name__ == '__main__':
    main()

"""Recognize gestures in videos, folders or a webcam, and draw what the model looked at."""
import argparse
import json
import sys
from pathlib import Path

import pandas as pd
import torch
from mmengine.config import DictAction
from rich.console import Console

from gaie_mmaction import apis
from gaie_mmaction.benchmark import print_table
from gaie_mmaction.datasets.video_file import VideoReadError
from gaie_mmaction.utils.files import atomic_file
from gaie_mmaction.visualization import write_annotated_video


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument('inputs', nargs='+', metavar='VIDEO', help='video file, folder of videos, '
                        'folder of images (the frames of one video), or number of a webcam')
    parser.add_argument('--config', required=True, help='config of the model')
    parser.add_argument('--checkpoint', required=True, help='its checkpoint')
    parser.add_argument('--out', default='work_dirs/demo_videos',
                        help='folder for NAME.json and NAME.mp4 (default: %(default)s)')
    parser.add_argument('--window', type=int, default=64, help='frames that are recognized '
                        'together; shorter videos are one window (default: %(default)s)')
    parser.add_argument('--stride', type=int, default=16,
                        help='frames from one window to the next (default: %(default)s)')
    parser.add_argument('--threshold', type=float, default=.5,
                        help='lowest score of a frame of a segment (default: %(default)s)')
    parser.add_argument('--seconds', type=float, default=10,
                        help='duration of a webcam recording (default: %(default)s)')
    parser.add_argument('--no-video', action='store_true', help='write no annotated video')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu',
                        help='default: cuda if available, else cpu')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes of the config')
    args = parser.parse_args()
    if not 1 <= args.stride <= args.window:
        parser.error(f'--stride must be in [1, --window = {args.window}], but got {args.stride}')
    return args


def print_result(name: str, result: apis.VideoResult) -> None:
    found, console = result.to_dict(), Console()
    best = [(row['name'], f'{row["score"]:.3f}') for row in found['top5']]
    segments = [(f'{row["start_frame"]}-{row["end_frame"]}', row['name'], f'{row["score"]:.3f}')
                for row in found['segments']]
    print_table(pd.DataFrame(best, columns=['gesture', 'score']),
                f'{name}: {found["frames"]} frames', console)
    title = f'{len(segments)} segments with a score of at least {result.threshold:g}'
    if segments:
        print_table(pd.DataFrame(segments, columns=['frames', 'gesture', 'score']), title, console)
    else:
        print(title)


def main() -> None:
    args = parse_args()
    try:
        recognizer = apis.ClipRecognizer(
            apis.load_config(args.config, args.cfg_options), args.checkpoint, args.device)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(str(error))
    print(f'{len(recognizer.classes.names)} classes, named by {recognizer.classes.origin}')
    if recognizer.classes.caution:
        print(f'Caution: {recognizer.classes.caution}')
    sources, skipped = apis.find_footage(args.inputs)
    for path in skipped:
        print(f'Skipped, not a video: {path}')
    failed = []
    for name, source in sources.items():
        out = Path(args.out, f'{name}.json')
        try:
            with apis.open_footage(source, args.seconds) as footage:
                result = apis.recognize_video(
                    recognizer, footage, args.window, args.stride, args.threshold)
                print_result(name, result)
                with atomic_file(out) as partial:
                    partial.write_text(json.dumps(result.to_dict(), indent=1), encoding='utf-8')
                print(f'Written: {out}')
                if not args.no_video:
                    out, title = out.with_name(f'{name}.mp4'), f'{name}   {Path(args.config).stem}'
                    write_annotated_video(footage, result, title, out)
                    print(f'Written: {out}')
        except (VideoReadError, FileExistsError) as error:
            failed.append(f'{name} was left out: {error}')
    if failed:
        sys.exit('\n'.join(failed))


if __name__ == '__main__':
    main()

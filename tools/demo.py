"""Recognize gestures in videos, folders or a webcam, and draw what the model looked at."""
import json
import sys
from pathlib import Path

import pandas as pd
import torch
from mmengine.config import DictAction

from gaie_mmaction import apis
from gaie_mmaction.benchmark import print_table
from gaie_mmaction.datasets.segment_file import read_segments
from gaie_mmaction.datasets.video_file import VideoReadError
from gaie_mmaction.evaluation.window_spotting import load_rule
from gaie_mmaction.utils.command_line import Namespace, exit_on, tool_parser
from gaie_mmaction.utils.files import require_writable, write_text
from gaie_mmaction.visualization import write_annotated_video
from gaie_mmaction.visualization.timeline import draw_timeline


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('inputs', nargs='+', metavar='VIDEO', help='video file, folder of videos, '
                        'folder of images (the frames of one video), or number of a webcam')
    parser.add_argument('--config', required=True, help='config of the model')
    parser.add_argument('--checkpoint', required=True, help='its checkpoint')
    parser.add_argument('--out', default='work_dirs/demo_videos',
                        help='folder for NAME.json and NAME.mp4 (default: %(default)s)')
    parser.add_argument('--window', type=int, default=64, help='frames of a window; '
                        'shorter videos are one window (default: %(default)s)')
    parser.add_argument('--stride', type=int, default=16,
                        help='frames from one window to the next (default: %(default)s)')
    parser.add_argument('--threshold', type=float, default=.5,
                        help='lowest frame score in a segment (default: %(default)s)')
    parser.add_argument('--rule', metavar='JSON', help='OUT.rule.json of tools/spot_windows.py: '
                        'find segments by it, and draw their timeline, NAME.png')
    parser.add_argument('--detector', nargs=2, metavar=('CONFIG', 'CHECKPOINT'), help='temporal '
                        'detector on the features of the windows: segments by it, and a timeline; '
                        '--window and --stride as in its training')
    parser.add_argument('--true', metavar='CSV', help='segments.csv with the true segments of the '
                        'video NAME, for the timeline')
    parser.add_argument('--seconds', type=float, default=10,
                        help='duration of a webcam recording (default: %(default)s)')
    parser.add_argument('--no-video', action='store_true', help='write no annotated video')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu',
                        help='default: cuda if available, else cpu')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='config overrides')
    args = parser.parse_args()
    if not 1 <= args.stride <= args.window:
        parser.error(f'--stride must be in [1, --window = {args.window}], but got {args.stride}')
    if args.true and not (args.rule or args.detector):
        parser.error('--true is drawn beside found segments: give --rule or --detector as well')
    if args.rule and args.detector:
        parser.error('--rule and --detector are two ways to find segments: give one')
    return args


def print_result(name: str, result: apis.VideoResult) -> None:
    found = result.to_dict()
    best = [(row['name'], f'{row["score"]:.3f}') for row in found['top5']]
    segments = [(f'{row["start_frame"]}-{row["end_frame"]}', row['name'], f'{row["score"]:.3f}')
                for row in found['segments']]
    print_table(pd.DataFrame(best, columns=['gesture', 'score']),
                f'{name}: {found["frames"]} frames')
    title = f'{len(segments)} segments with a score of at least {result.threshold:g}'
    if segments:
        print_table(pd.DataFrame(segments, columns=['frames', 'gesture', 'score']), title)
    else:
        print(title)


def write_timeline(out: Path, name: str, result: apis.VideoResult, true: list[tuple]) -> None:
    rows = dict(true=[segment for segment in true if segment[0] == name],
                found=[(name, s.start, s.end, s.label, s.score) for s in result.segments])
    draw_timeline(out, {row: segments for row, segments in rows.items() if segments},
                  len(result.scores), result.recognizer.classes.names, name)
    print(f'Written: {out}')


def main() -> None:
    args = parse_args()
    with exit_on(ValueError, OSError):
        require_writable(f'{args.out}/NAME.json')
        rule = load_rule(args.rule) if args.rule else None
        recognizer = apis.ClipRecognizer(
            apis.load_config(args.config, args.cfg_options), args.checkpoint, args.device)
        detector = apis.VideoDetector(apis.load_config(args.detector[0]), args.detector[1],
                                      args.device) if args.detector else None
        true = (read_segments(args.true, len(recognizer.classes.names)) if args.true else [])
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
                    recognizer, footage, args.window, args.stride, args.threshold, rule,
                    detector, keep_tokens=not args.no_video)
                print_result(name, result)
                write_text(out, json.dumps(result.to_dict(), indent=1))
                print(f'Written: {out}')
                if args.rule or args.detector:
                    write_timeline(out.with_suffix('.png'), name, result, true)
                if not args.no_video:
                    out, title = out.with_name(f'{name}.mp4'), f'{name}   {Path(args.config).stem}'
                    write_annotated_video(footage, result, title, out)
                    print(f'Written: {out}')
        except (VideoReadError, FileExistsError, ValueError) as error:
            failed.append(f'{name} was left out: {error}')
    if failed:
        sys.exit('\n'.join(failed))


if __name__ == '__main__':
    main()

"""Recognise gestures in videos, folders or a webcam, and draw what the model looked at."""
import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config, DictAction
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from gaie_mmaction.apis import (
    ClassNames,
    ClipPipeline,
    find_class_names,
    frame_scores,
    merge_segments,
    open_footage,
    recognize,
    record_webcam,
    window_ranges,
)
from gaie_mmaction.apis.frame_source import VIDEOS, Footage, files_of
from gaie_mmaction.benchmark import build_recognizer, load_weights
from gaie_mmaction.datasets.video_file import VideoReadError
from gaie_mmaction.utils.files import atomic_file
from gaie_mmaction.visualization import AnnotatedVideo, Annotation, VideoWriter

PIECE = 32  # frames that are decoded at once while the video is written
console = Console()


Footages = Iterator[tuple[str, Callable[[], str]]]


def find_footage(inputs: list[str], seconds: float, scratch: str) -> Footages:
    """Name, and a function that gives the path, of all that the arguments ask for."""
    taken: dict[str, int] = Counter()
    for name, path in _find_footage(inputs, seconds, scratch):
        taken[name] += 1  # files of one name in several folders
        yield (name if taken[name] == 1 else f'{name}-{taken[name]}'), path


def _find_footage(inputs: list[str], seconds: float, scratch: str) -> Footages:
    for text in inputs:
        if text.isdecimal() and not os.path.exists(text):
            yield f'webcam{text}', partial(_record, int(text), seconds, scratch)
        elif os.path.isdir(text) and files_of(text, VIDEOS):
            yield from ((path.stem, partial(str, path)) for path in files_of(text, VIDEOS))
        else:
            yield Path(text).stem, partial(str, text)


def _record(index: int, seconds: float, scratch: str) -> str:
    path = os.path.join(scratch, f'webcam{index}.mp4')
    console.print(f'Recording webcam {index} for {seconds:g} s (Ctrl-C ends it)')
    record_webcam(index, seconds, path)
    return path


class Demo:
    """A model, and what is done with each video.

    Args:
        args (argparse.Namespace): The command's arguments.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        cfg = Config.fromfile(args.config)
        cfg.merge_from_dict(args.cfg_options or {})
        # the scores of several views and of a single one alike are to be probabilities
        cfg.model.cls_head.average_clips = 'prob'
        self.args = args
        self.model = build_recognizer(cfg, args.device)
        meta = load_weights(self.model, args.checkpoint, args.config)
        self.classes: ClassNames = find_class_names(meta, cfg, cfg.model.cls_head.num_classes)
        self.pipeline = ClipPipeline(cfg)
        self.tubelet_size = getattr(self.model.backbone, 'tubelet_size', 1)

    def run(self, name: str, path: str) -> dict:
        """Recognise one video, print and write what was found.

        Args:
            name (str): Of the files that are written.
            path (str): The video or folder of pictures.

        Returns:
            dict: What the json holds.
        """
        args = self.args
        with open_footage(path) as footage:
            ranges = window_ranges(len(footage), args.window, args.stride)
            windows = list(track(recognize(self.model, self.pipeline, footage, ranges),
                                 f'{name}: {len(ranges)} windows', len(ranges), console=console,
                                 transient=True, disable=len(ranges) == 1))
            scores = frame_scores(ranges, np.stack([window.scores for window in windows]))
            segments = merge_segments(scores, args.threshold, max_gap=args.stride)
            result = dict(
                video=path, frames=len(footage), fps=footage.fps, top5=self._top5(scores.mean(0)),
                segments=[dict(start_frame=s.start, end_frame=s.end, label=s.label,
                               name=self.classes.names[s.label], score=round(s.score, 6))
                          for s in segments],
                windows=[dict(start_frame=w.start, end_frame=w.end, top5=self._top5(w.scores))
                         for w in windows],
                model=dict(config=args.config, checkpoint=args.checkpoint,
                           classes_named_by=self.classes.origin, caution=self.classes.caution))
            self._print(name, result)
            out = Path(args.out_dir) / name
            with atomic_file(out.with_name(f'{name}.json')) as file:
                file.write_text(json.dumps(result, indent=1), encoding='utf-8')
            console.print(f'Written: {out}.json', highlight=False, soft_wrap=True)
            if not args.no_video:
                annotation = Annotation(
                    windows, scores, segments, self.classes.names, args.threshold,
                    self.tubelet_size, f'{name}   {Path(args.config).stem}', self.classes.caution)
                with atomic_file(out.with_name(f'{name}.mp4')) as file:
                    self._write_video(footage, annotation, file)
                console.print(f'Written: {out}.mp4', highlight=False, soft_wrap=True)
        return result

    def _top5(self, scores: np.ndarray) -> list[dict]:
        best = np.argsort(-scores, kind='stable')[:5].tolist()
        return [dict(label=label, name=self.classes.names[label],
                     score=round(float(scores[label]), 6)) for label in best]

    def _print(self, name: str, result: dict) -> None:
        _print_table(f'{name}: {result["frames"]} frames', ('gesture', 'score'), [
            (row['name'], f'{row["score"]:.3f}') for row in result['top5']])
        if len(result['windows']) > 1:
            _print_table(
                f'Segments with a score of at least {self.args.threshold:g}'
                + ('' if result['segments'] else ': none'), ('frames', 'gesture', 'score'), [
                    (f'{row["start_frame"]}-{row["end_frame"]}', row['name'],
                     f'{row["score"]:.3f}') for row in result['segments']])

    def _write_video(self, footage: Footage, annotation: Annotation, out: Path) -> None:
        drawing = None
        with VideoWriter(out, footage.fps or 25) as writer:
            for start in range(0, len(footage), PIECE):
                numbers = range(start, min(start + PIECE, len(footage)))
                for number, frame in zip(numbers, footage.read(numbers)):
                    drawing = drawing or AnnotatedVideo(annotation, *frame.shape[:2])
                    writer.write(drawing.draw(number, frame))


def _print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    console.print(title, highlight=False, markup=False)
    table = Table(*columns)
    for row in rows:
        table.add_row(*map(escape, row))
    if rows:
        console.print(table)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('inputs', nargs='+', metavar='VIDEO', help='video file, folder of videos, '
                        'folder of pictures (the frames of one video), or number of a webcam')
    parser.add_argument('--config', required=True, help='config of the model')
    parser.add_argument('--checkpoint', required=True, help='its checkpoint')
    parser.add_argument('--out-dir', default='work_dirs/demo_videos',
                        help='folder for NAME.json and NAME.mp4 (default: work_dirs/demo_videos)')
    parser.add_argument('--window', type=int, default=64, help='frames that are recognised '
                        'together; a video of no more is one window (default: 64)')
    parser.add_argument('--stride', type=int, default=16,
                        help='frames from one window to the next (default: 16)')
    parser.add_argument('--threshold', type=float, default=.5,
                        help='least score of a frame of a segment (default: 0.5)')
    parser.add_argument('--seconds', type=float, default=10,
                        help='how long a webcam is recorded (default: 10)')
    parser.add_argument('--no-video', action='store_true', help='write no annotated video')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu',
                        help='default: cuda if there is one')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes of the config')
    args = parser.parse_args()
    try:
        window_ranges(1, args.window, args.stride)
    except ValueError as error:
        parser.error(str(error))
    return args


def main() -> None:
    args = parse_args()
    try:
        demo = Demo(args)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(str(error))
    console.print(f'{len(demo.classes.names)} classes, named by {demo.classes.origin}')
    if demo.classes.caution:
        console.print(f'Caution: {demo.classes.caution}', style='yellow', markup=False)
    failed = []
    with tempfile.TemporaryDirectory() as scratch:
        for name, path_of in find_footage(args.inputs, args.seconds, scratch):
            try:
                demo.run(name, path_of())
            except VideoReadError as error:
                failed.append(f'{name} was left out: {error}')
    if failed:
        sys.exit('\n'.join(failed))


if __name__ == '__main__':
    main()

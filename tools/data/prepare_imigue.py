"""Turn a release of iMiGUE into the annotation files that the dataset reads.

ROOT is the folder with the unpacked challenge zips. The parts are found by
what they contain: a ``<VID>_label.csv`` below a folder named after train,
validation or test, and a ``<VID>.mp4`` anywhere below ROOT. Writes ``train.csv``,
``val.csv``, ``test.csv``, ``trainval.csv``, ``label_map.txt``, a report, and the link
``videos`` to ROOT, where the configs look for the videos.
"""
import argparse
import csv
import io
import json
import os
import re
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import decord
from tqdm import tqdm

from gaie_mmaction.datasets.annotations import SEGMENT_HEADER
from gaie_mmaction.datasets.imigue_classes import IMIGUE_CLASSES, IMIGUE_CODES

LABEL_OF_CODE = {code: label for label, code in enumerate(IMIGUE_CODES)}
PUBLISHED_CLIPS = dict(train=12893, val=777, test=4562)
# read against each folder's name on the way up from a label file; the nearest one decides
PART_PATTERNS = (('train', re.compile('train', re.I)), ('val', re.compile('valid', re.I)),
                 ('test', re.compile('test', re.I)))


class ReleaseError(Exception):
    """The release cannot be read; the message names the file and the way out."""


@dataclass
class Report:
    """What was found, and every deviation."""
    videos: Dict[str, int] = field(default_factory=dict)
    clips: Dict[str, int] = field(default_factory=dict)
    published_clips: Dict[str, int] = field(default_factory=lambda: dict(PUBLISHED_CLIPS))
    clips_per_class: Dict[str, Dict[str, int]] = field(default_factory=dict)
    resolutions: Dict[str, int] = field(default_factory=dict)
    frame_rates: Dict[str, int] = field(default_factory=dict)
    clamped: List[str] = field(default_factory=list)
    dropped: List[str] = field(default_factory=list)
    missing_videos: List[str] = field(default_factory=list)

    def text(self) -> str:
        """For people."""
        lines = ['part    videos   clips   published']
        for part, number in self.clips.items():
            published = self.published_clips[part]
            mark = '' if number == published else f'   differs by {number - published:+d}'
            lines.append(f'{part:<6} {self.videos[part]:>7} {number:>7} {published:>11}{mark}')
        for part, counts in self.clips_per_class.items():
            lines.append(f'\nclips per class, {part}:')
            lines += [f'  {name}: {number}' for name, number in counts.items()]
        for title in ('resolutions', 'frame_rates'):
            found = ', '.join(f'{name} ({n} videos)' for name, n in getattr(self, title).items())
            lines.append(f'\n{title.replace("_", " ")}: {found}')
        for title in ('clamped', 'dropped', 'missing_videos'):
            entries = getattr(self, title)
            lines.append(f'\n{title.replace("_", " ")}: {len(entries)}')
            lines += [f'  {entry}' for entry in entries]
        return '\n'.join(lines) + '\n'


def part_of(label_file: Path, root: Path) -> str:
    """Part that a label file belongs to, by the nearest folder that names one."""
    for folder in label_file.relative_to(root).parents:
        for part, pattern in PART_PATTERNS:
            if pattern.search(folder.name):
                return part
    raise ReleaseError(f'{label_file}: no folder above it is named after train, validation or '
                       'test, so its part is unknown; keep the folders of the zips')


def find_label_files(root: Path) -> Dict[str, List[Tuple[str, Path]]]:
    """Label files by part, as (video id, path) in order of video id."""
    parts = {part: {} for part in PUBLISHED_CLIPS}
    known = {}
    for path in sorted(root.rglob('*_label.csv')):
        video_id = path.name[:-len('_label.csv')]
        # within a part, too: clip ids are made of the video's id and must be unique
        if video_id in known:
            raise ReleaseError(f'video {video_id} has two label files, {known[video_id]} and '
                               f'{path}: remove one')
        known[video_id] = parts[part_of(path, root)][video_id] = path
    if not known:
        raise ReleaseError(f'no <VID>_label.csv below {root}: give the folder into which the '
                           'imigue_skeleton zips were unpacked')
    return {part: sorted(files.items()) for part, files in parts.items()}


def find_videos(root: Path) -> Dict[str, Path]:
    """Whole videos by video id (the file's name)."""
    videos = {}
    for path in sorted(root.rglob('*.mp4')):
        if path.stem in videos:
            raise ReleaseError(f'video {path.stem} occurs twice, {videos[path.stem]} and {path}: '
                               'remove one')
        videos[path.stem] = path
    if not videos:
        raise ReleaseError(f'no <VID>.mp4 below {root}: unpack the imigue_rgb zips there, too')
    return videos


def read_rows(path: Path) -> List[Tuple[int, List[str]]]:
    """Line numbers and fields of the lines of a csv that are not empty."""
    try:
        with open(path, newline='', encoding='utf-8-sig') as file:
            return [(number, row) for number, row in enumerate(csv.reader(file), 1) if row]
    except (OSError, UnicodeDecodeError) as error:
        raise ReleaseError(f'{path} cannot be read as a csv file: {error}') from error


def read_label_file(path: Path) -> List[Tuple[int, int, int]]:
    """Rows ``class, start_frame, end_frame`` of a label file.

    Raises:
        ReleaseError: With file and line, if a row is not three integers.
    """
    rows = []
    for number, row in read_rows(path):
        try:
            code, start, end = (int(text) for text in row)
        except ValueError:
            raise ReleaseError(f'{path}, line {number}: needs the three integers '
                               f'class,start_frame,end_frame, but got {row}') from None
        rows.append((code, start, end))
    return rows


def read_test_labels(path: Path) -> Dict[str, int]:
    """Model labels by clip id, from a csv with the header ``clip_id,label``.

    Raises:
        ReleaseError: With file and line, if a label is none of the model's, or a clip
            occurs twice.
    """
    lines = read_rows(path)
    header = lines[0][1] if lines else None
    if header != ['clip_id', 'label']:
        raise ReleaseError(f'{path}: needs the header clip_id,label, but has {header}')
    labels = {}
    limit = len(IMIGUE_CLASSES) - 1
    for number, row in lines[1:]:
        if len(row) != 2 or not row[1].strip().isdecimal() or int(row[1]) > limit:
            raise ReleaseError(f'{path}, line {number}: needs a clip id and a label in 0..{limit}, '
                               f'but got {row}')
        if row[0] in labels:
            raise ReleaseError(f'{path}, line {number}: clip {row[0]} was already given: remove '
                               'one of the lines')
        labels[row[0]] = int(row[1])
    return labels


def make_segments(video_id: str, rows: List[Tuple[int, int, int]], num_frames: int, video: str,
                  labelled: bool, report: Report) -> List[tuple]:
    """Rows of the segment csv for one video; ranges are clamped to the stream.

    Args:
        video_id (str): Name of the video; clip k is ``<VID>_<k>``.
        rows (list): Of the label file.
        num_frames (int): Frames of the stream.
        video (str): Path that goes into the csv.
        labelled (bool): Whether the classes mean something (they do not in the test part).
        report (Report): Gets what was clamped or dropped.

    Returns:
        list[tuple]: As ``SEGMENT_HEADER``.
    """
    segments = []
    for k, (code, start, end) in enumerate(rows):
        clip_id = f'{video_id}_{k}'
        reason = None
        if labelled and code not in LABEL_OF_CODE:
            reason = f'class {code} is none of 1..31 and 99'
        elif start >= num_frames:
            reason = f'starts at frame {start}, the video has {num_frames}'
        elif end < max(start, 0):
            reason = f'ends at frame {end}, before its start {start}'
        if reason:
            report.dropped.append(f'{clip_id}: {reason}')
            continue
        first, last = max(start, 0), min(end, num_frames - 1)
        if (first, last) != (start, end):
            report.clamped.append(f'{clip_id}: {start}..{end} to {first}..{last}, the video has '
                                  f'{num_frames} frames')
        segments.append(
            (clip_id, video, first, last, LABEL_OF_CODE[code] if labelled else -1))
    return segments


def probe_video(path: Path) -> Tuple[int, str, str]:
    """Frames, resolution and frame rate of a video, by the reader that training uses.

    Raises:
        ReleaseError: If it cannot be opened, or its first frame cannot be decoded.
    """
    try:
        reader = decord.VideoReader(str(path), num_threads=1)
        height, width, _ = reader[0].shape
    except (decord.DECORDError, RuntimeError, IndexError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ReleaseError(f'{path} cannot be opened as a video ({reason}): unpack it '
                           'again') from error
    return len(reader), f'{width}x{height}', f'{reader.get_avg_fps():.2f} frames/s'


def prepare(root: Path, test_labels: Optional[Path]) -> Tuple[Dict[str, List[tuple]], Report]:
    """Segments of all parts, and the report.

    Args:
        root (Path): The unpacked release.
        test_labels (Path, optional): Labels of the test part where they are known.

    Returns:
        tuple: Segments by part (``train``, ``val``, ``test``), and the report.

    Raises:
        ReleaseError: If the release cannot be read.
    """
    labels = find_label_files(root)
    videos = find_videos(root)
    answers = None if test_labels is None else read_test_labels(test_labels)
    report = Report()
    resolutions, frame_rates = Counter(), Counter()
    parts = {}
    progress = tqdm(total=sum(map(len, labels.values())), desc='videos', unit='video')
    for part, files in labels.items():
        parts[part] = []
        report.videos[part] = 0
        for video_id, label_file in files:
            progress.update()
            if video_id not in videos:
                report.missing_videos.append(f'{video_id} ({part}): no {video_id}.mp4 below {root}')
                continue
            path = videos[video_id]
            num_frames, resolution, frame_rate = probe_video(path)
            resolutions[resolution] += 1
            frame_rates[frame_rate] += 1
            report.videos[part] += 1
            parts[part] += make_segments(video_id, read_label_file(label_file), num_frames,
                                         path.relative_to(root).as_posix(), part != 'test', report)
    progress.close()
    if answers is not None:
        parts['test'] = [label_test_clip(row, answers, test_labels) for row in parts['test']]
    for part, rows in parts.items():
        report.clips[part] = len(rows)
        counts = Counter(row[-1] for row in rows)
        report.clips_per_class[part] = {
            'unlabelled' if label < 0 else f'{label} {IMIGUE_CLASSES[label]}': number
            for label, number in sorted(counts.items())
        }
    report.resolutions, report.frame_rates = dict(resolutions), dict(frame_rates)
    return parts, report


def label_test_clip(row: tuple, answers: Dict[str, int], path: Path) -> tuple:
    if row[0] not in answers:
        raise ReleaseError(f'{path} has no label for clip {row[0]} of the test part')
    return (*row[:-1], answers[row[0]])


def write_text(path: Path, text: str) -> None:
    """Write a file that appears only when it is complete."""
    partial = path.with_name(path.name + '.partial')
    partial.write_text(text, encoding='utf-8')
    os.replace(partial, path)


def write_segments(path: Path, rows: List[tuple]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator='\n').writerows([SEGMENT_HEADER, *rows])
    write_text(path, buffer.getvalue())


def link_videos(out: Path, root: Path) -> None:
    """Make ``out/videos`` point at the release."""
    link = out / 'videos'
    if link.exists() and not link.is_symlink():
        raise ReleaseError(f'{link} exists and is no link: move it away, the link to {root} goes '
                           'there')
    partial = out / 'videos.partial'
    partial.unlink(missing_ok=True)
    partial.symlink_to(root.resolve(), target_is_directory=True)
    os.replace(partial, link)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('root', type=Path, help='folder with the unpacked release')
    parser.add_argument('--out', type=Path, default=Path('data/imigue'),
                        help='folder of the annotation files (default: data/imigue)')
    parser.add_argument('--test-labels', type=Path,
                        help='csv clip_id,label with the labels of the test part, if you have them')
    args = parser.parse_args()
    if not args.root.is_dir():
        sys.exit(f'{args.root} is no folder: give the one with the unpacked release')
    try:
        parts, report = prepare(args.root, args.test_labels)
        args.out.mkdir(parents=True, exist_ok=True)
        link_videos(args.out, args.root)
    except ReleaseError as error:
        sys.exit(str(error))
    for part, rows in parts.items():
        write_segments(args.out / f'{part}.csv', rows)
    write_segments(args.out / 'trainval.csv', parts['train'] + parts['val'])
    write_text(args.out / 'label_map.txt', '\n'.join(IMIGUE_CLASSES) + '\n')
    write_text(args.out / 'report.txt', report.text())
    write_text(args.out / 'report.json', json.dumps(asdict(report), indent=2) + '\n')
    print(report.text())
    print(f'Annotation files, report.txt and the link to the videos are in {args.out}')


if __name__ == '__main__':
    main()

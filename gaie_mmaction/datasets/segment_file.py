"""Segments of untrimmed videos: ``video_id,start_frame,end_frame,class[,score]``."""
import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..utils.files import atomic_file, read_text

HEADER = ('video_id', 'start_frame', 'end_frame', 'class', 'score')


def write_segments(path: str | Path, segments: Iterable[tuple]) -> None:
    """Write segments ``(video_id, start_frame, end_frame, label[, score])`` with a header."""
    rows = [tuple(segment) for segment in segments]
    width = max(map(len, rows), default=len(HEADER))
    with atomic_file(path) as partial, open(partial, 'w', encoding='utf-8', newline='') as file:
        csv.writer(file, lineterminator='\n').writerows(
            [HEADER[:width], *((*row[:4], *(f'{score:.6f}' for score in row[4:])) for row in rows)])


def read_segments(path: str | Path, num_classes: int | None = None) -> list[tuple]:
    """Read what :func:`write_segments` writes; frames count from 0, both ends are included.

    A wrong header, a value that is not a number, an end before its start, or a class that is not in
    0..num_classes - 1 is a ``ValueError`` with file and line.
    """
    rows = list(csv.reader(io.StringIO(read_text(path), newline='')))
    width = len(rows[0]) if rows else 0
    if not 4 <= width <= 5 or tuple(rows[0]) != HEADER[:width]:
        raise ValueError(f'{path}: the header must be {",".join(HEADER[:4])}[,score], but is '
                         f'{",".join(rows[0]) if rows else "missing"!r}')
    segments = []
    for number, row in enumerate(rows[1:], 2):
        if not row:
            continue
        try:
            start, end, label = map(int, row[1:4])
            score = tuple(map(float, row[4:]))
        except ValueError as error:
            raise ValueError(f'{path}, line {number} ({",".join(row)!r}): {error}') from error
        if len(row) != width or not 0 <= start <= end or label < 0 or (
                num_classes is not None and label >= num_classes):
            raise ValueError(
                f'{path}, line {number} ({",".join(row)!r}): needs {width} columns, 0 <= '
                'start_frame <= end_frame and a class' + (
                    '' if num_classes is None else f' in 0..{num_classes - 1}'))
        segments.append((row[0], start, end, label, *score))
    return segments


def check_segments(segments: Iterable[tuple], num_frames: Mapping[str, int],
                   origin: str | Path) -> list[str]:
    """Compare segments with the lengths of their videos, in frames.

    Returns a line per pair of overlapping segments of one class, which are kept. A segment of an
    unknown video, or beyond the last frame, is a ``ValueError``.
    """
    lines: list[str] = []
    previous: dict[tuple[str, int], tuple[int, int]] = {}
    for segment in sorted(segments, key=lambda segment: segment[:4]):
        video_id, start, end, label = segment[:4]
        if video_id not in num_frames:
            raise ValueError(f'{origin}: video {video_id} of segment {segment} is not among the '
                             f'{len(num_frames)} videos, e.g. {next(iter(num_frames), None)}')
        if end >= num_frames[video_id]:
            raise ValueError(f'{origin}: segment {segment} ends outside its video, whose frames '
                             f'are 0..{num_frames[video_id] - 1}')
        before = previous.get((video_id, label))
        if before is not None and start <= before[1]:
            lines.append(f'{origin}: segments {before[0]}-{before[1]} and {start}-{end} of class '
                         f'{label} overlap in video {video_id}; both are kept')
        if before is None or end > before[1]:
            previous[video_id, label] = (start, end)
    return lines

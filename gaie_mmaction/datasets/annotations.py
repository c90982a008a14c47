"""Annotation files: the segment csv, and MMAction2's clip list."""
import csv
import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..utils.files import read_text, write_text


class Segment(NamedTuple):
    """A row of a segment csv; frames count from 0, the end is inclusive, -1 is unlabelled."""
    clip_id: str
    video: str
    start_frame: int
    end_frame: int
    label: int


SEGMENT_HEADER = Segment._fields
NUM_EXAMPLES = 5


def write_annotations(path: Path, segments: Iterable[Segment]) -> None:
    """Write ``<path>.csv`` (segments) and ``<path>.txt`` (the clip list of the cut clips)."""
    segments = list(segments)
    write_segments(Path(f'{path}.csv'), segments)
    write_text(f'{path}.txt', ''.join(f'{segment.clip_id}.mp4 {segment.label}\n'
                                      for segment in segments))


def write_segments(path: Path, segments: Iterable[Segment]) -> None:
    """Write a segment csv."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator='\n').writerows([SEGMENT_HEADER, *segments])
    write_text(path, buffer.getvalue())


def read_annotations(ann_file: str, num_classes: int) -> list[dict]:
    """Read a segment csv (a header and the fields of :class:`Segment`) or a clip list.

    A clip list is as MMAction2's ``VideoDataset`` reads it: ``0004_0.mp4 31``, one clip per file;
    the clip id is the stem of the name, a missing label is -1. A backslash separates folders as
    well.

    Returns:
        list[dict]: The fields of :class:`Segment` of each clip, in the file's order. An
        ``end_frame`` of -1 is the last of the file; labels are below ``num_classes``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: With file and line, if anything in it cannot be read or is out of bounds, a clip
            id occurs twice, or there is no clip.
    """
    if not os.path.isfile(ann_file):
        raise FileNotFoundError(f'annotation file {ann_file} does not exist: make it with '
                                'tools/data/prepare_imigue.py, or set ann_file')
    text = read_text(ann_file)
    first = io.StringIO(text, newline=None).readline().strip()
    header = [field.strip() for field in first.split(',')]
    is_csv = header == list(SEGMENT_HEADER)
    if not is_csv and ('clip_id' in re.split('[,;\t]', first)
                       or len(header) >= len(SEGMENT_HEADER)):
        raise ValueError(f'{ann_file} looks like a segment csv, but its header is '
                         f'{first!r}: it must be {",".join(SEGMENT_HEADER)!r}')
    clips: list[dict] = []
    line_of: dict[str, int] = {}
    for number, fields in _rows(ann_file, text, is_csv):
        try:
            clip = _parse_segment(fields) if is_csv else _parse_clip(fields[0])
            if not -1 <= clip.label < num_classes:
                raise ValueError(
                    f'label must be in 0..{num_classes - 1}, or -1 for unlabelled, but got '
                    f'{clip.label}; classes of your own are set by metainfo=dict(classes=[...])')
        except ValueError as error:
            line = ','.join(fields)
            raise ValueError(f'{ann_file}, line {number} ({line!r}): {error}') from error
        previous = line_of.setdefault(clip.clip_id, number)
        if previous != number:
            raise ValueError(f'{ann_file}, line {number}: clip id {clip.clip_id} was already '
                             f'given in line {previous}; ids must be unique')
        clips.append(clip._asdict())
    if not clips:
        raise ValueError(f'{ann_file} holds no clip')
    return clips


def _rows(ann_file: str, text: str, is_csv: bool) -> Iterator[tuple[int, list[str]]]:
    """Number and fields of the lines that are not blank; a line of a clip list is one field."""
    # not by splitlines(), which also breaks at form feeds and U+2028, inside quotes too
    if not is_csv:
        yield from ((number, [line.rstrip('\n')])
                    for number, line in enumerate(io.StringIO(text, newline=None), 1)
                    if line.strip())
        return
    reader = csv.reader(io.StringIO(text, newline=''))
    next(reader)
    try:
        for row in reader:
            if len(row) > 1 or ''.join(row).strip():
                yield reader.line_num, row
    except csv.Error as error:
        raise ValueError(f'{ann_file}, line {reader.line_num}: {error}') from error


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f'{name} must be an integer, but got {text!r}') from None


def _native_path(path: str) -> str:
    if os.name != 'nt' and re.match(r'[A-Za-z]:[\\/]|\\\\', path):
        raise ValueError(f'{path} is on a drive of Windows, which this system does not have: give '
                         'paths relative to data_prefix.video')
    return path.replace('\\', '/')


def _parse_segment(fields: list[str]) -> Segment:
    if len(fields) != len(SEGMENT_HEADER):
        raise ValueError(f'needs the {len(SEGMENT_HEADER)} columns {",".join(SEGMENT_HEADER)}, '
                         f'but has {len(fields)}')
    start, end, label = map(_integer, SEGMENT_HEADER[2:], fields[2:])
    if not 0 <= start <= end:
        raise ValueError(f'needs 0 <= start_frame <= end_frame, but got {start} and {end}')
    return Segment(fields[0].strip(), _native_path(fields[1].strip()), start, end, label)


def _parse_clip(line: str) -> Segment:
    # the label follows the last blank or tab: file names may hold blanks too
    video, *label = line.strip().rsplit(maxsplit=1)
    if not label and re.search('[,;][0-9]+$', video):
        raise ValueError('a blank or a tab must be before the label of a clip list')
    video = _native_path(video)
    clip_id = os.path.splitext(os.path.basename(video))[0]
    try:
        return Segment(clip_id, video, 0, -1, int(label[0]) if label else -1)
    except ValueError:
        raise ValueError(f'label must be an integer, but got {label[0]!r}; after a name with '
                         'blanks it cannot be left out: -1 is unlabelled') from None


def video_of(clip_id: str) -> str:
    """Video ``VID`` of a clip ``<VID>_<k>``; any other id is that of a clip on its own."""
    numbers = re.fullmatch('([0-9]+)_[0-9]+', clip_id)
    return numbers[1] if numbers else clip_id


def examples(entries: Sequence) -> str:
    """The first few of a list, for a message."""
    text = '; '.join(map(str, entries[:NUM_EXAMPLES]))
    return text + ('; ...' if len(entries) > NUM_EXAMPLES else '')

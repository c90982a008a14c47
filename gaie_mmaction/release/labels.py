"""Read label files; a row that cannot be read is reported and costs one clip."""
import csv
import re
from pathlib import Path
from typing import NamedTuple

from ..datasets.annotations import Segment
from ..datasets.imigue_classes import IMIGUE_CODES
from .layout import LICENSED_COLUMNS
from .report import ReleaseError, Report

LABEL_OF_CODE = {code: label for label, code in enumerate(IMIGUE_CODES)}
FORM = 'form of label files'
ROWS = 'label rows that cannot be read'


class LabelRow(NamedTuple):
    """Row k of a video, from 0, is clip ``<VID>_<k>``; ``error`` says why ``frames`` is None."""
    k: int
    code: str  # the class as the file has it
    frames: tuple[int, int] | None  # first and last
    error: str = ''


class LicensedTable(NamedTuple):
    """``labels_20200831.csv`` by video id; empty where there is no table, or no subject in it."""
    rows: dict[str, list[LabelRow]]
    subjects: dict[str, int]


def read_label_file(path: Path, name: str, report: Report) -> list[LabelRow]:
    """Read the ``class,start_frame,end_frame`` rows of a file that the report calls ``name``."""
    try:
        text, unusual = _read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        report.add(ROWS, name, f'cannot be read as text ({error}); its clips are left out')
        return []
    rows: list[LabelRow] = []
    blank, spaces, header = 0, False, False
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip(' \t,'):
            blank += 1
            continue
        fields = [value.strip() for value in line.split(',')]
        spaces |= fields != line.split(',')
        # column names; a row that merely has an unknown form must keep its number as a row
        if not rows and not header and all(re.match('["\']?[^\\W\\d]', one) for one in fields):
            header = True
            unusual.append(f'a header ({line.strip()!r})')
            continue
        rows.append(_label_row(len(rows), fields, f'line {number} ({line.strip()!r})'))
    unusual += [f'{blank} blank lines'] * (blank > 0) + ['blanks around values'] * spaces
    if unusual:
        report.add(FORM, name, f'has {", ".join(unusual)}; read all the same')
    if not rows:
        report.add(ROWS, name, 'holds no clip')
    return rows


def label_of(code: str) -> int | None:
    """Model label of a file's class, None if it is not one of 1..31 and 99."""
    return LABEL_OF_CODE.get(int(code)) if _is_integer(code) else None


def read_licensed_csv(path: Path, name: str, report: Report) -> LicensedTable:
    """Read the licensed release's table of labels, which the report calls ``name``."""
    lines, unusual = _read_csv(path)
    if unusual:
        report.add(FORM, name, f'has {", ".join(unusual)}; read all the same')
    header = [column.strip() for column in lines[0]] if lines else []
    missing = [column for column in LICENSED_COLUMNS if column not in header]
    if missing:
        raise ReleaseError(f'{path}: the header lacks {", ".join(missing)}; give the '
                           f'labels_20200831.csv of the licensed release (its header is {header})')
    table = LicensedTable({}, {})
    for number, line in enumerate(lines[1:], 2):
        row = dict(zip(header, map(str.strip, line)))
        if not any(row.values()):
            continue
        if not _is_integer(row.get('video_id', ''), sign=''):
            report.add(ROWS, name, f'line {number}: video_id is not a number; left out')
            continue
        video_id = f'{int(row["video_id"]):04d}'
        rows = table.rows.setdefault(video_id, [])
        fields = [row.get(column, '') for column in LICENSED_COLUMNS[1:]]
        rows.append(_label_row(len(rows), fields, f'{name}, line {number} ({",".join(line)!r})'))
        if 'subject_id' not in header:
            continue
        subject = row.get('subject_id', '')
        if not _is_integer(subject, sign=''):
            report.add(ROWS, name, f'line {number}: subject_id is not a number')
            continue
        known = table.subjects.setdefault(video_id, int(subject))
        if known != int(subject):
            report.add(ROWS, name, f'line {number}: video {video_id} has subject {subject}, '
                       f'but {known} above; {known} is used')
    return table


def add_test_labels(segments: list[Segment], path: Path) -> list[Segment]:
    """Label the segments of the test part from a csv with the header ``clip_id,label``."""
    lines = [(number, row) for number, row in enumerate(_read_csv(path)[0], 1) if row]
    header = lines[0][1] if lines else None
    if header != ['clip_id', 'label']:
        raise ReleaseError(f'{path}: needs the header clip_id,label, but has {header}')
    labels: dict[str, int] = {}
    limit = len(IMIGUE_CODES) - 1
    for number, row in lines[1:]:
        if len(row) != 2 or not _is_integer(row[1].strip(), sign='') or int(row[1]) > limit:
            raise ReleaseError(f'{path}, line {number}: needs a clip id and a label in 0..{limit}, '
                               f'but got {row}')
        if row[0] in labels:
            raise ReleaseError(f'{path}, line {number}: clip {row[0]} was already given: remove '
                               'one of the lines')
        labels[row[0]] = int(row[1])
    for segment in segments:
        if segment.clip_id not in labels:
            raise ReleaseError(f'{path} has no label for clip {segment.clip_id} of the test part')
    return [segment._replace(label=labels[segment.clip_id]) for segment in segments]


def _read_text(path: Path) -> tuple[str, list[str]]:
    """Text of a file with plain line ends, and what is unusual about its form."""
    text, unusual = path.read_bytes().decode('utf-8'), []
    if text.startswith('\ufeff'):
        unusual.append('a byte order mark')
    if '\r' in text:
        unusual.append('Windows line ends')
    return text.removeprefix('\ufeff').replace('\r\n', '\n').replace('\r', '\n'), unusual


def _read_csv(path: Path) -> tuple[list[list[str]], list[str]]:
    """Rows of a csv file, blank ones too, and what is unusual about its form."""
    try:
        text, unusual = _read_text(path)
        return list(csv.reader(text.splitlines())), unusual
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReleaseError(f'{path} cannot be read as a csv file: {error}') from error


def _is_integer(text: str, sign: str = '[+-]?') -> bool:
    # int() refuses more than 4,300 digits
    return re.fullmatch(rf'{sign}\d{{1,18}}', text) is not None


def _label_row(k: int, fields: list[str], where: str) -> LabelRow:
    if len(fields) != 3:
        return LabelRow(k, '', None, f'{where} has {len(fields)} fields instead of class,'
                        'start_frame,end_frame')
    code, start, end = fields
    if not (_is_integer(start) and _is_integer(end)):
        return LabelRow(k, code, None, f'{where}: start_frame and end_frame must be integers')
    return LabelRow(k, code, (int(start), int(end)))

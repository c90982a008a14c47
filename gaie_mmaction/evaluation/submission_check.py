"""Checking a leaderboard file, whoever wrote it."""
import csv
import io
import os
import re
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ..datasets.annotations import examples
from .submission_file import FORMATS, HEADER, compare_ids, submission_order

FORMAT_OF_MEMBER = {specification.member: name for name, specification in FORMATS.items()}
MAX_BYTES = 4 * 2**20  # of the csv; iMiGUE's test part takes 45 KB
MAX_RATIO = 100  # of its size to that of its zip; a real one has about 5
INTEGER = re.compile('[0-9]{1,9}')
LONGEST = 80  # characters of a faulty line that are shown
SUSPICIOUS_SHARE = .9  # of one class; the most frequent one of the training part has 0.29


@dataclass
class SubmissionReport:
    """Result of :func:`check_submission`."""
    format: str
    container: str  # 'csv' or 'zip'
    num_rows: int = 0
    targets: dict[str, int] = field(default_factory=dict)  # valid class by clip id
    # every case by kind
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def fault_lines(self) -> list[str]:
        """One line per kind of fault: number of cases, and the first of them."""
        return [f'  {kind}: {len(cases)}, e.g. {examples(cases)}'
                for kind, cases in self.faults.items()]

    def class_lines(self, classes: Sequence[str]) -> list[str]:
        """One line per class, and a warning if nearly all clips are of one class."""
        counts = Counter(self.targets.values())
        lines = ['class  clips']
        lines += [f'{label:5} {counts[label]:6}  {name}' for label, name in enumerate(classes)]
        (most, number), = counts.most_common(1)
        share = number / counts.total()
        if share > SUSPICIOUS_SHARE:
            lines.append(f'warning: {100 * share:.1f} % of the clips are predicted as class {most} '
                         f'({classes[most]})')
        return lines


def check_submission(path: str, clip_ids: Collection[str], num_classes: int,
                     max_bytes: int = MAX_BYTES, max_ratio: int = MAX_RATIO) -> SubmissionReport:
    """Check a leaderboard file of any format, recognised by its content.

    ``clip_ids`` are those of the whole test part, targets must be below ``num_classes``;
    ``max_bytes`` is the largest csv that is read, ``max_ratio`` its largest size relative to its
    zip.

    Raises:
        ValueError: If there are no rows to check: a damaged zip, a zip with other files, a file
            beyond a limit, or no text.
    """
    size = os.path.getsize(path)
    if not os.path.isfile(path):
        raise ValueError(f'{path} is not a regular file')
    if size > max_bytes:
        raise ValueError(f'{path} has {size} bytes, and the limit is {max_bytes} (--max-bytes)')
    with open(path, 'rb') as file:
        content = file.read()
    zipped, member = content.startswith(b'PK'), FORMATS['2025'].member
    if zipped:
        member, content = _unpack(path, content, max_bytes, max_ratio)
    report = SubmissionReport(FORMAT_OF_MEMBER[member], 'zip' if zipped else 'csv')
    ending = os.path.splitext(path)[1]
    if ending != f'.{report.container}':
        report.faults['wrong file name ending'].append(
            f'the content is a {report.container}, but the name ends in {ending!r}')
    known = set(clip_ids)
    rows = _skip_header(_read_lines(path, content, report), known, report)
    given = _check_rows(rows, known, num_classes, report)
    if missing := compare_ids(known, given)[0]:
        report.faults['missing clips'] += missing
    return report


def _unpack(path: str, content: bytes, max_bytes: int, max_ratio: int) -> tuple[str, bytes]:
    """Name and content of the only file in a zip."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            if len(names) != 1 or names[0] not in FORMAT_OF_MEMBER:
                raise ValueError(
                    f'{path} must hold one file, {" or ".join(FORMAT_OF_MEMBER)}, and nothing '
                    f'else, but holds {len(names)}: {examples(names)}')
            member, = archive.infolist()
            size, ratio = member.file_size, member.file_size / max(member.compress_size, 1)
            if size > max_bytes or ratio > max_ratio:
                raise ValueError(f'{path}: {member.filename} would take {size} bytes, {ratio:.0f} '
                                 f'times its compressed size; the limits are {max_bytes} bytes '
                                 f'(--max-bytes) and {max_ratio} times (--max-ratio)')
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                # zipfile cannot bound the output of the others, whatever the header says
                raise ValueError(f'{path}: {member.filename} is compressed by method '
                                 f'{member.compress_type}: write the zip with Deflate')
            with archive.open(member) as file:  # read() without a size would inflate all of it
                return member.filename, file.read(size + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} is a damaged or incomplete zip: {error}') from error
    except (RuntimeError, NotImplementedError) as error:  # a password, an unknown version
        raise ValueError(f'{path} cannot be unpacked: {error}') from error


def _read_lines(path: str, content: bytes, report: SubmissionReport) -> list[tuple[int, str]]:
    """Line numbers and lines; what is wrong with their form goes into the report."""
    try:
        text = content.decode('utf-8')
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not a csv in UTF-8: {error}') from error
    if text.startswith('\ufeff'):
        report.faults['byte order mark (BOM)'].append('before line 1')
        text = text[1:]
    lines = []
    for number, line in enumerate(text.removesuffix('\n').split('\n'), start=1):
        if '\r' in line:
            report.faults['carriage returns (Windows line ends)'].append(f'line {number}')
            line = line.replace('\r', '')
        if line.strip():
            lines.append((number, line))
        else:
            report.faults['blank lines'].append(f'line {number}')
    return lines


def _split(line: str) -> list[str]:
    try:
        return next(csv.reader([line]))
    except csv.Error:  # a field beyond the module's limit of 131,072 characters
        return [line]


def _skip_header(lines: list[tuple[int, str]], known: set[str],
                 report: SubmissionReport) -> list[tuple[int, str]]:
    if not lines:
        return lines
    number, line = lines[0]
    fields = _split(line)
    is_row = fields[0] in known or (len(fields) == 2 and INTEGER.fullmatch(fields[1]))
    wanted = ','.join(HEADER) if FORMATS[report.format].header else None
    found = None if is_row else line
    if found != wanted:
        kind = f'header other than {wanted}' if wanted else 'header in a file without one'
        report.faults[kind].append(f'line {number}: {line[:LONGEST]!r}')
    return lines if is_row else lines[1:]


def _check_rows(lines: list[tuple[int, str]], known: set[str], num_classes: int,
                report: SubmissionReport) -> set[str]:
    """Check each row; returns the ids that have one."""
    line_of: dict[str, int] = {}
    highest = None
    for number, line in lines:
        report.num_rows += 1
        fields = _split(line)
        if len(fields) != 2:
            report.faults['rows without exactly two columns'].append(
                f'line {number}: {line[:LONGEST]!r}')
            continue
        clip_id, target = fields
        if not (INTEGER.fullmatch(target) and int(target) < num_classes):
            report.faults[f'targets that are not integers in 0..{num_classes - 1}'].append(
                f'line {number}: {target[:LONGEST]!r}')
        else:
            report.targets.setdefault(clip_id, int(target))
        if clip_id in line_of:
            report.faults['repeated clips'].append(
                f'line {number}: {clip_id[:LONGEST]} as in line {line_of[clip_id]}')
            continue
        line_of[clip_id] = number
        if clip_id not in known:
            report.faults['unknown clips'].append(f'line {number}: {clip_id[:LONGEST]!r}')
        elif highest is not None and submission_order(clip_id) < submission_order(highest):
            report.faults['rows out of order (video id, then row number)'].append(
                f'line {number}: {clip_id} after {highest}')
        else:
            highest = clip_id
    return set(line_of)

"""The leaderboard file: its two formats, and writing one."""
import csv
import io
import os
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..datasets.annotations import read_annotations
from ..utils.files import atomic_file

HEADER = ('Id', 'Target')


@dataclass(frozen=True)
class SubmissionFormat:
    """Format of one year of the challenge."""
    member: str  # name of the csv inside a zip
    header: bool
    endings: tuple[str, ...]


FORMATS = {
    '2025': SubmissionFormat(member='prediction.csv', header=True, endings=('.csv', '.zip')),
    '2023': SubmissionFormat(member='Submission.csv', header=False, endings=('.zip', )),
}


def submission_order(clip_id: str) -> tuple:
    """Sort key: ``<VID>_<k>`` by its two numbers; other ids as text, after them."""
    numbers = re.fullmatch('([0-9]+)_([0-9]+)', clip_id)
    return (0, int(numbers[1]), int(numbers[2]), clip_id) if numbers else (1, 0, 0, clip_id)


def compare_ids(ids: Iterable[str], others: Iterable[str]) -> tuple[list[str], list[str]]:
    """Clip ids that only the first has, and those that only the second has, in order."""
    one, two = set(ids), set(others)
    return sorted(one - two, key=submission_order), sorted(two - one, key=submission_order)


def read_clip_ids(ann_file: str, num_classes: int) -> list[str]:
    """Ids of all clips of an annotation file; ``ValueError`` if it is not one."""
    return [clip['clip_id'] for clip in read_annotations(ann_file, num_classes)]


def require_format(out_file: str | None, format: str) -> None:
    """Raise ``ValueError`` for an unknown format, or if its files have another ending."""
    if format not in FORMATS:
        raise ValueError(f'format must be one of {", ".join(FORMATS)}, but got {format!r}')
    endings = FORMATS[format].endings
    if out_file is not None and os.path.splitext(out_file)[1] not in endings:
        raise ValueError(f'a file of format {format} must end in {" or ".join(endings)}, but got '
                         f'{out_file!r}')


def write_submission(out_file: str, clip_ids: Sequence[str], targets: Sequence[int],
                     format: str = '2025') -> None:
    """Write one row ``clip id,class`` per clip, in the leaderboard's order.

    The same rows give the same bytes. The file appears only when it is complete, its folders are
    created.

    Args:
        format (str): See :class:`MiGASubmission`.

    Raises:
        ValueError: If the format or the ending of ``out_file`` is wrong.
    """
    require_format(out_file, format)
    rows = sorted(zip(clip_ids, map(int, targets), strict=True),
                  key=lambda row: submission_order(row[0]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    if FORMATS[format].header:
        writer.writerow(HEADER)
    writer.writerows(rows)
    content = text.getvalue().encode()
    with atomic_file(out_file) as partial:
        if out_file.endswith('.zip'):
            with zipfile.ZipFile(partial, 'w') as archive:
                info = zipfile.ZipInfo(FORMATS[format].member)  # its date is fixed
                archive.writestr(info, content, zipfile.ZIP_DEFLATED)
        else:
            partial.write_bytes(content)

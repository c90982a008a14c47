"""The leaderboard's file: its two formats, and writing one."""
import csv
import io
import os
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

from ..utils.files import atomic_file

HEADER = ('Id', 'Target')
NUM_EXAMPLES = 5


@dataclass(frozen=True)
class SubmissionFormat:
    """What a year of the challenge asks for."""
    member: str  # name of the csv inside a zip
    header: bool
    endings: tuple[str, ...]


FORMATS = {
    '2025': SubmissionFormat(member='prediction.csv', header=True, endings=('.csv', '.zip')),
    '2023': SubmissionFormat(member='Submission.csv', header=False, endings=('.zip', )),
}


def submission_order(clip_id: str) -> tuple:
    """Sort key: ``<VID>_<k>`` by its two numbers; other ids as text, behind them."""
    numbers = re.fullmatch('([0-9]+)_([0-9]+)', clip_id)
    return (0, int(numbers[1]), int(numbers[2]), clip_id) if numbers else (1, 0, 0, clip_id)


def examples(entries: Sequence) -> str:
    """The first few of a list, for a message."""
    text = '; '.join(map(str, entries[:NUM_EXAMPLES]))
    return text + ('; ...' if len(entries) > NUM_EXAMPLES else '')


def require_format(out_file: str | None, format: str) -> None:
    """Check a format and the file name for it.

    Args:
        out_file (str, optional): Path of the file.
        format (str): A key of :data:`FORMATS`.

    Raises:
        ValueError: If there is no such format, or its files end otherwise.
    """
    if format not in FORMATS:
        raise ValueError(f'format must be one of {", ".join(FORMATS)}, but got {format!r}')
    endings = FORMATS[format].endings
    if out_file is not None and os.path.splitext(out_file)[1] not in endings:
        raise ValueError(f'a file of format {format} must end in {" or ".join(endings)}, but got '
                         f'{out_file!r}')


def write_submission(out_file: str,
                     clip_ids: Sequence[str],
                     targets: Sequence[int],
                     format: str = '2025') -> None:
    """Write a row ``clip id,class`` a clip, in the leaderboard's order.

    The same rows give the same bytes. The file appears only when it is complete.

    Args:
        out_file (str): Path; missing folders are made.
        clip_ids (Sequence[str]): ``<VID>_<k>`` each.
        targets (Sequence[int]): Predicted class of each, 0..31.
        format (str): ``'2025'``: header ``Id,Target``, a csv, or ``prediction.csv`` in a
            zip if ``out_file`` ends in ``.zip``. ``'2023'``: no header, ``Submission.csv`` in a
            zip. Defaults to ``'2025'``.

    Raises:
        ValueError: If the format or the ending of ``out_file`` is wrong.
        OSError: If the file cannot be written.
    """
    require_format(out_file, format)
    rows = sorted(zip(clip_ids, targets, strict=True), key=lambda row: submission_order(row[0]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    if FORMATS[format].header:
        writer.writerow(HEADER)
    writer.writerows((clip_id, int(target)) for clip_id, target in rows)
    content = text.getvalue().encode()
    with atomic_file(out_file) as partial:
        if out_file.endswith('.zip'):
            with zipfile.ZipFile(partial, 'w') as archive:
                # an entry of its own has a fixed date
                archive.writestr(
                    zipfile.ZipInfo(FORMATS[format].member), content, zipfile.ZIP_DEFLATED)
        else:
            with open(partial, 'wb') as file:
                file.write(content)

"""Unpack the challenge's zips beside themselves, without trusting what they say."""
import errno
import shutil
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from rich.console import Console
from rich.progress import DownloadColumn, Progress

from ..utils.files import atomic_file, remove_partial_files
from .layout import find_files, is_junk
from .report import UNSAFE, ReleaseError, Report

WANTED = ('.csv', '.mp4', '.xlsx')
REFUSED = 'zip files'
# Labels and skeletons shrink to a tenth, videos not at all; zeros shrink to a thousandth.
MAX_UNPACKED_RATIO = 100.
SMALL = 100_000_000  # bytes; what unpacks to less is harmless, whatever its ratio
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, struct.error,
          OverflowError)
# not bzip2 and LZMA: zipfile decompresses their blocks whole, and a few bytes can fill the memory
METHODS = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
# others concern every file: a full disk, a folder that must not be written to
ERRORS_OF_ONE_ENTRY = {None, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST,
                       errno.EINVAL, errno.EILSEQ}


class _Refused(Exception):
    """An archive that must not be unpacked."""


def unpack_archives(root: Path, skip: Path, report: Report,
                    max_ratio: float = MAX_UNPACKED_RATIO, workbooks: bool = False) -> None:
    """Unpack every zip below ``root``, except in ``skip``, into a folder of its name beside it.

    Entries that lie below ``root`` already, by name, size and the checksum of a csv, are left
    alone. ``report`` gets what is damaged, encrypted, unsafe, or unpacks to more than 100 MB and
    more than ``max_ratio`` times the zip. OpenPose's workbooks are left packed where the zip has
    the small skeleton file of the same video, unless ``workbooks`` are asked for. A target that is
    full or cannot be written to is a :class:`ReleaseError`.
    """
    present: dict[tuple[str, int], list[Path]] = {}
    for path in find_files(root, WANTED, skip):
        present.setdefault((path.name, path.stat().st_size), []).append(path)
    jobs: dict[Path, list[zipfile.ZipInfo]] = {}
    for archive in find_files(root, ('.zip',), skip, report):
        name = archive.relative_to(root)
        try:
            entries = [entry for entry in _wanted_entries(archive, name, report, workbooks)
                       if not _is_present(entry, present)]
            excess = find_excess(entries, archive.stat().st_size, max_ratio)
            if excess:
                raise _Refused(f'{excess}: if you trust it, raise --max-unpacked-ratio')
            jobs[archive] = entries
        except (*DAMAGE, OSError) as error:
            report.add(REFUSED, name, f'cannot be read ({error}), nothing of it is used: an '
                       'incomplete download? Fetch it again')
        except _Refused as error:
            report.add(REFUSED, name, f'{error}; nothing of it was unpacked')
    needed = sum(entry.file_size for entries in jobs.values() for entry in entries)
    free = shutil.disk_usage(root).free
    if needed > free:
        raise ReleaseError(
            f'unpacking the zips needs {needed / 1e9:.1f} GB below {root}, but {free / 1e9:.1f} GB '
            'are free: make room, or give a folder on a larger disk, with links to the zips')
    columns = *Progress.get_default_columns(), DownloadColumn()
    with Progress(*columns, console=Console(stderr=True), disable=not needed) as progress:
        bar = progress.add_task('unpacking', total=needed)
        for archive, entries in jobs.items():
            targets = [archive.with_suffix('') / entry.filename for entry in entries]
            for folder in {target.parent for target in targets}:
                remove_partial_files(folder)
            with zipfile.ZipFile(archive) as file:
                for entry, target in zip(entries, targets):
                    damage = _extract(file, entry, target)
                    if damage:
                        report.add(REFUSED, archive.relative_to(root), damage)
                    progress.advance(bar, entry.file_size)


def _is_present(entry: zipfile.ZipInfo, present: dict[tuple[str, int], list[Path]]) -> bool:
    paths = present.get((PurePosixPath(entry.filename).name, entry.file_size), [])
    if not entry.filename.lower().endswith('.csv'):
        return bool(paths)
    # a corrected label has as many characters
    return any(zlib.crc32(path.read_bytes()) == entry.CRC for path in paths)


def find_excess(entries: list[zipfile.ZipInfo], zip_size: int,
                max_ratio: float = MAX_UNPACKED_RATIO) -> str:
    """Why a zip would unpack to too much, by the sizes that it declares; empty if it would not."""
    # by archive, not by entry: a skeleton of zeros is legitimate, and overlapping entries are
    # suspicious only together
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked <= max(SMALL, max_ratio * zip_size):
        return ''
    return (f'it would unpack to {unpacked:,} bytes, {unpacked / max(zip_size, 1):,.0f} times its '
            f'own {zip_size:,}, and at most {max_ratio:g} times or {SMALL:,} bytes are allowed')


def _wanted_entries(archive: Path, name: Path, report: Report,
                    workbooks: bool) -> list[zipfile.ZipInfo]:
    """Entries that the project reads, by the zip's own list."""
    wanted: dict[str, zipfile.ZipInfo] = {}
    with zipfile.ZipFile(archive) as file:
        entries = file.infolist()
    for entry in entries:
        entry.filename = entry.filename.replace('\\', '/')  # as some tools of Windows write it
        path = PurePosixPath(entry.filename)
        if path.is_absolute() or '..' in path.parts or ':' in ''.join(path.parts[:1]):
            raise _Refused(f'its entry {entry.filename!r} would be written outside the folder '
                           f'{archive.stem}')
        if (entry.external_attr >> 16) & 0o170000 == 0o120000:
            raise _Refused(f'its entry {entry.filename!r} is a link')
        if entry.flag_bits & 1:
            raise _Refused('it is encrypted: unpack it yourself into the same folder')
        if is_junk(entry.filename) or not entry.filename.lower().endswith(WANTED):
            continue
        if entry.compress_type not in METHODS:
            raise _Refused(f'its entry {entry.filename!r} is neither stored nor deflated (method '
                           f'{entry.compress_type}): unpack it yourself into the same folder')
        if UNSAFE.search(entry.filename):
            report.add(REFUSED, name, f'{entry.filename} has a control character or a line break '
                       'in its name and was left out')
            continue
        if entry.filename in wanted:
            report.add(REFUSED, name, f'{entry.filename} is in it again, the last one is used')
        wanted[entry.filename] = entry
    if workbooks:
        return list(wanted.values())
    # the 21 MB per video are not needed where the small skeleton file is there
    names = [PurePosixPath(filename).name for filename in wanted]
    redundant = {name.replace('_light_hand.csv', '_openpose.xlsx') for name in names
                 if name.endswith('_light_hand.csv')}
    return [entry for name, entry in zip(names, wanted.values()) if name not in redundant]


def _extract(file: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> str:
    """Write an entry; returns how it is damaged, empty if it is not."""
    try:
        with (atomic_file(target) as partial, file.open(entry) as source,
              open(partial, 'wb') as copy):
            shutil.copyfileobj(source, copy, 1 << 20)  # stops at the size that was declared
    except (*DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno not in ERRORS_OF_ONE_ENTRY:
            raise ReleaseError(
                f'{file.filename} cannot be unpacked beside itself: {error.strerror}. Mend it and '
                'run again, or give a folder that you can write to, with links to the zips'
            ) from error
        return f'{entry.filename} is damaged ({error}) and was left out: fetch the zip again'
    return ''

"""Unpacking the challenge's zips beside themselves."""
import lzma
import shutil
import zipfile
import zlib
from collections import Counter
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from ..utils.files import atomic_file, remove_partial_files
from .layout import find_files, is_junk
from .report import ReleaseError, Report

WANTED = ('.csv', '.mp4', '.xlsx')
REFUSED = 'zip files'
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)


def unpack_archives(root: Path, skip: Path, report: Report) -> None:
    """Unpack every zip below a folder into ``<zip's name without .zip>/`` beside it.

    Entries that lie somewhere below the folder already, by name and size, are left
    alone, so that a second run, or a zip that was unpacked by hand, costs nothing. A file
    appears under its name only when it is whole and its checksum is right.

    Args:
        root (Path): The release.
        skip (Path): Folder that is not looked into.
        report (Report): Gets the zips that are damaged, encrypted or unsafe.

    Raises:
        ReleaseError: If the target is full or cannot be written to.
    """
    present = {(path.name, path.stat().st_size) for path in find_files(root, WANTED, skip)
               if path.exists()}
    jobs = []
    for archive in find_files(root, ('.zip',), skip):
        name = archive.relative_to(root)
        try:
            entries = _wanted_entries(archive, name, present, report)
        except (zipfile.BadZipFile, OSError) as error:
            report.add(REFUSED, name, f'cannot be read ({error}), nothing of it is used: an '
                       'incomplete download? Fetch it again')
        except _Refused as error:
            report.add(REFUSED, name, f'{error}; nothing of it was unpacked')
        else:
            jobs += [(archive, entry) for entry in entries]
    needed = sum(entry.file_size for _, entry in jobs)
    free = shutil.disk_usage(root).free
    if needed > free:
        raise ReleaseError(
            f'unpacking the zips needs {needed / 1e9:.1f} GB below {root}, but {free / 1e9:.1f} GB '
            'are free: make room, or put links to the zips into a folder on a larger disk and '
            'give that one')
    with tqdm(total=needed, desc='unpacking', unit='B', unit_scale=True, disable=not jobs) as bar:
        for archive, entry in jobs:
            try:
                _extract(archive, entry)
            except (*DAMAGE, OSError) as error:
                # bz2 says so by an OSError that is none of the system's
                if isinstance(error, DAMAGE) or error.errno is None:
                    report.add(REFUSED, archive.relative_to(root),
                               f'{entry.filename} is damaged ({error}) and was left out: fetch the '
                               'zip again')
                    continue
                raise ReleaseError(
                    f'{archive} cannot be unpacked to {_folder(archive)}: {error.strerror}. '
                    'Nothing half-written is left; mend it and run again, or put links to the '
                    'zips into a folder that you can write to and give that one') from error
            bar.update(entry.file_size)


class _Refused(Exception):
    """An archive that must not be unpacked."""


def _folder(archive: Path) -> Path:
    return archive.with_suffix('')


def _wanted_entries(archive: Path, name: Path, present: set[tuple[str, int]],
                    report: Report) -> list[zipfile.ZipInfo]:
    """Entries that the project reads and that are not there yet."""
    with zipfile.ZipFile(archive) as file:
        entries = [entry for entry in file.infolist() if not entry.is_dir()]
    for entry in entries:
        entry.filename = entry.filename.replace('\\', '/')  # as some tools of Windows write it
        path = PurePosixPath(entry.filename)
        if path.is_absolute() or '..' in path.parts or ':' in path.parts[0]:
            raise _Refused(f'its entry {entry.filename!r} would be written outside the folder '
                           f'{_folder(archive).name}')
        if (entry.external_attr >> 16) & 0o170000 == 0o120000:
            raise _Refused(f'its entry {entry.filename!r} is a link')
        if entry.flag_bits & 1:
            raise _Refused('it is encrypted: unpack it yourself, with its password, into the same '
                           'folder')
    wanted = [
        entry for entry in entries
        if not is_junk(entry.filename) and entry.filename.lower().endswith(WANTED)]
    count = Counter(entry.filename for entry in wanted)
    for filename, number in count.items():
        if number > 1:
            report.add(REFUSED, name, f'{filename} is in it {number} times, the last one is used')
    wanted = list({entry.filename: entry for entry in wanted}.values())
    names: dict[str, zipfile.ZipInfo] = {PurePosixPath(entry.filename).name: entry
                                         for entry in wanted}
    # the 21 MB a video are not needed where the small skeleton file is there
    redundant = {name.replace('_light_hand.csv', '_openpose.xlsx') for name in names
                 if name.endswith('_light_hand.csv')}
    return [entry for entry in wanted
            if PurePosixPath(entry.filename).name not in redundant
            and (PurePosixPath(entry.filename).name, entry.file_size) not in present]


def _extract(archive: Path, entry: zipfile.ZipInfo) -> None:
    target = _folder(archive) / entry.filename
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_partial_files(target.parent)
    with atomic_file(target) as partial, zipfile.ZipFile(archive) as file, \
            file.open(entry) as source, open(partial, 'wb') as copy:
        shutil.copyfileobj(source, copy, 1 << 20)

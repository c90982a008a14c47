"""Files that are either complete or not there, and folders that one process writes to."""
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

# temporary files are private by default; these are to be as readable as any other
_UMASK = os.umask(0)
os.umask(_UMASK)
PARTIAL = '.partial'


@contextmanager
def atomic_file(path: str | Path, durable: bool = False) -> Iterator[Path]:
    """Write under a temporary name in the same folder, and rename when the block succeeds.

    Missing folders are created. After an error the file is as it was before. ``durable`` flushes
    the content to the disk before renaming, against power failures.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # another name each time: the workers of a killed process may still be writing
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.', suffix=PARTIAL)
    os.close(handle)
    try:
        yield Path(name)
        if durable:
            with open(name, 'rb+') as file:  # Windows flushes only what may be written
                os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_UMASK)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def write_text(path: str | Path, text: str, durable: bool = False) -> None:
    """Write a text by :func:`atomic_file`: UTF-8, lines end in ``\\n`` on every system."""
    with atomic_file(path, durable) as partial:
        partial.write_bytes(text.encode())


def read_text(path: str | Path) -> str:
    """Read a UTF-8 text, with or without a byte order mark; another encoding is a ValueError."""
    try:
        return Path(path).read_bytes().decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not UTF-8 text ({error}): save it as UTF-8') from error


def remove_partial_files(folder: Path) -> None:
    """Delete what killed runs left in a folder, not below it."""
    for path in folder.glob(f'.*{PARTIAL}'):
        path.unlink(missing_ok=True)


class FolderInUseError(RuntimeError):
    """Another process holds the lock of a folder."""


@contextmanager
def locked_folder(folder: Path, timeout: float = 2) -> Iterator[None]:
    """Keep other processes out of an existing folder while the block runs.

    The operating system releases the lock, on ``<folder>/.lock``, however the process ends. Forked
    workers share it, and those of a killed run need a moment to exit: ``timeout`` in seconds.
    """
    path = Path(folder) / '.lock'
    lock = FileLock(path, timeout=timeout, is_singleton=True)
    try:
        lock.acquire()
    except Timeout:
        raise FolderInUseError(f'another process writes into {folder} and holds {path}: wait for '
                               'it to finish, or choose another folder') from None
    except NotImplementedError:
        warnings.warn(f'{folder} is on a file system without locks: nothing keeps a second run '
                      'out', stacklevel=3)
    try:
        yield
    finally:
        lock.release()


def require_writable(path: str) -> None:
    """Check before long work that a file can be written after it; its folders may be missing."""
    folder = os.path.dirname(os.path.abspath(path))
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    if os.path.isdir(path):
        raise IsADirectoryError(f'{path} cannot be written: it is a folder')
    if not os.path.isdir(folder):
        raise NotADirectoryError(f'{path} cannot be written: {folder} is not a folder')
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f'{path} cannot be written: no permission to write in {folder}')

"""Files that appear under their name only when they are whole."""
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

# temporary files are private by default; these are to be as readable as any other
_UMASK = os.umask(0)
os.umask(_UMASK)
PARTIAL = '.partial'


@contextmanager
def atomic_file(path: Path, durable: bool = False) -> Iterator[Path]:
    """Write under another name in the same folder, and rename when the block ends well.

    The other name is different each time: what is left of a process that was killed
    may still be writing.

    Args:
        path (Path): The file.
        durable (bool): Bring the content to the disk first, so that after a power failure
            there is no name without content. Defaults to False.

    Yields:
        Path: Where to write.
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.', suffix=PARTIAL)
    os.close(handle)
    try:
        yield Path(name)
        if durable:
            with open(name, 'rb') as file:
                os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_UMASK)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def remove_partial_files(folder: Path) -> None:
    """Delete what killed runs left in a folder.

    Args:
        folder (Path): Not looked into below.
    """
    for path in folder.glob(f'.*{PARTIAL}'):
        path.unlink(missing_ok=True)

"""Writing files that are either complete or not there."""
import os
from contextlib import contextmanager
from typing import Iterator


@contextmanager
def replacing(path: str) -> Iterator[str]:
    """Write beside a file, and put the result in its place once it is complete.

    Missing folders are made. After an error ``path`` is as it was before, and
    nothing else is left.

    Args:
        path (str): Where the complete file goes.

    Yields:
        str: ``path.partial``, the path to write to.
    """
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    partial = f'{path}.partial'
    try:
        yield partial
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def require_writable(path: str) -> None:
    """Find out before long work whether a file could be written after it.

    Nothing is written for it, so a disk that fills up later is not foreseen.

    Args:
        path (str): The file; it and its folders may be missing.

    Raises:
        OSError: If ``path`` is a folder, if a file is in the place of one of its
            folders, or if the folder, or the last one that there is, may not be written to.
    """
    folder = os.path.dirname(os.path.abspath(path))
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    if os.path.isdir(path):
        raise IsADirectoryError(f'{path} cannot be written: it is a folder')
    if not os.path.isdir(folder):
        raise NotADirectoryError(f'{path} cannot be written: {folder} is no folder')
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f'{path} cannot be written: no permission to write in {folder}')

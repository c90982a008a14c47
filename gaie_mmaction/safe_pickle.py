"""Reading pickles without running what a stranger may have put into them."""
import io
import os
import pickle
from collections import OrderedDict
from typing import Any, Callable, Dict, Tuple

import numpy as np
import torch


def _load_storage(content: bytes) -> object:
    """In place of torch's own, which reads the inner pickle of a storage without any limit."""
    return torch.load(io.BytesIO(content), weights_only=True)


def _encode(text: str, encoding: str) -> bytes:
    """Bytes are texts in the old protocol 2, which mmengine writes."""
    if encoding != 'latin1':
        raise pickle.UnpicklingError(f'it holds a text in {encoding!r}')
    return text.encode('latin1')


def _no_bytes() -> bytes:
    """And empty bytes are a call of their own there."""
    return b''


def _allowed() -> Dict[Tuple[str, str], Callable]:
    multiarray, numeric = ((np.core.multiarray, np.core.numeric) if np.lib.NumpyVersion(
        np.__version__) < '2.0.0' else (np._core.multiarray, np._core.numeric))
    allowed = {
        ('numpy', 'ndarray'): np.ndarray,
        ('numpy', 'dtype'): np.dtype,
        ('collections', 'OrderedDict'): OrderedDict,
        ('_codecs', 'encode'): _encode,
        ('__builtin__', 'bytes'): _no_bytes,
        ('torch._utils', '_rebuild_tensor_v2'): torch._utils._rebuild_tensor_v2,
        ('torch.storage', '_load_from_bytes'): _load_storage,
    }
    for core in ('numpy.core', 'numpy._core'):  # NumPy 2 moved them
        allowed[f'{core}.multiarray', '_reconstruct'] = multiarray._reconstruct
        allowed[f'{core}.multiarray', 'scalar'] = multiarray.scalar
        allowed[f'{core}.numeric', '_frombuffer'] = numeric._frombuffer
    return allowed


class _Unpickler(pickle.Unpickler):
    """Knows the constructors of arrays and tensors, and nothing else."""

    _known = _allowed()

    def find_class(self, module: str, name: str) -> Callable:
        try:
            return self._known[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f'it holds {module}.{name}') from None


def load_pickle_safely(path: str) -> Any:
    """Read a pickle of plain containers, numbers, texts, NumPy arrays and torch tensors.

    Args:
        path (str): Path of the file.

    Returns:
        Any: Its content.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds anything else, of which nothing is run then, or is
            damaged or no pickle.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path} does not exist')
    try:
        with open(path, 'rb') as file:
            return _Unpickler(file).load()
    except pickle.UnpicklingError as error:
        raise ValueError(
            f'{path} is refused and nothing of it was run: {str(error).splitlines()[0]}. Only '
            'plain containers, numbers, texts, NumPy arrays and torch tensors are read') from error
    except (EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError, ImportError,
            RuntimeError, MemoryError, OverflowError) as error:  # what damaged pickles end with
        raise ValueError(f'{path} ({os.path.getsize(path)} bytes) cannot be read: {error}. It is '
                         'no pickle, or damaged or incomplete') from error

"""Reading pickles without running what a stranger may have put into them.

NumPy's own pickled forms are rebuilt here from their bytes: its ``dtype`` takes flags and
fields from a pickle as they come, and with wrong ones an array of addresses.
"""
import io
import os
import pickle
import re
from collections import OrderedDict
from typing import Any, Callable, Dict, Literal, Tuple

import numpy as np
import torch

NUMBERS = re.compile(r'(b|i|u|f|c)[0-9]{1,2}|S[0-9]+|U[0-9]+')


class _DType:
    """What stands for a ``numpy.dtype`` while a pickle is read."""

    def __init__(self, code: str, *_: Any) -> None:
        if not (isinstance(code, str) and NUMBERS.fullmatch(code)):
            raise pickle.UnpicklingError(f'it holds an array of {code!r}')
        self.code = code
        self.order: Literal['<', '>', '|', '='] = '='

    def __setstate__(self, state: tuple) -> None:
        # version, byte order, subarray, names, fields; sizes are in the code already
        if state[1] not in ('<', '>', '|', '=') or any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError('it holds an array of fields')
        self.order = state[1]

    def real(self) -> np.dtype:
        return np.dtype(self.code).newbyteorder(self.order)


class _Array:
    """What stands for a ``numpy.ndarray`` while a pickle is read."""

    def __init__(self, *_: Any) -> None:
        self.content = (0, ), _DType('f8'), False, b''

    def __setstate__(self, state: tuple) -> None:
        self.content = state[1:]

    def real(self) -> np.ndarray:
        shape, dtype, fortran, content = self.content
        if not isinstance(content, (bytes, bytearray)):
            raise pickle.UnpicklingError('it holds an array of objects')
        # a copy, as memory of bytes cannot be written to
        flat = np.frombuffer(content, dtype.real()).copy()
        return flat.reshape(shape, order='F' if fortran else 'C')


def _from_buffer(content: bytes, dtype: _DType, shape: tuple, order: str, *_: Any) -> _Array:
    array = _Array()
    array.content = shape, dtype, order == 'F', content
    return array


def _scalar(dtype: _DType, content: bytes) -> np.generic:
    return np.frombuffer(content, dtype.real())[0]


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


ALLOWED: Dict[Tuple[str, str], Callable] = {
    ('numpy', 'ndarray'): _Array,
    ('numpy', 'dtype'): _DType,
    ('collections', 'OrderedDict'): OrderedDict,
    ('_codecs', 'encode'): _encode,
    ('__builtin__', 'bytes'): _no_bytes,
    ('torch._utils', '_rebuild_tensor_v2'): torch._utils._rebuild_tensor_v2,
    ('torch.storage', '_load_from_bytes'): _load_storage,
}
for _core in ('numpy.core', 'numpy._core'):  # NumPy 2 moved them
    ALLOWED[f'{_core}.multiarray', '_reconstruct'] = _Array
    ALLOWED[f'{_core}.multiarray', 'scalar'] = _scalar
    ALLOWED[f'{_core}.numeric', '_frombuffer'] = _from_buffer


class _Unpickler(pickle.Unpickler):
    """Knows what stands in :data:`ALLOWED`, and nothing else."""

    def find_class(self, module: str, name: str) -> Callable:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f'it holds {module}.{name}')
        return ALLOWED[module, name]


def _real(value: Any) -> Any:
    """Containers with arrays for what stands for them."""
    if isinstance(value, (_Array, _DType)):
        return value.real()
    if isinstance(value, dict):
        return type(value)((key, _real(inner)) for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return type(value)(map(_real, value))
    return value


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
            return _real(_Unpickler(file).load())
    except pickle.UnpicklingError as error:
        raise ValueError(
            f'{path} is refused and nothing of it was run: {str(error).splitlines()[0]}. Only '
            'plain containers, numbers, texts, NumPy arrays and torch tensors are read') from error
    except (EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError, ImportError,
            RuntimeError, MemoryError, OverflowError) as error:  # what damaged pickles end with
        raise ValueError(f'{path} ({os.path.getsize(path)} bytes) cannot be read: {error}. It is '
                         'no pickle, or damaged or incomplete') from error

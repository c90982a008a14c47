"""Reading pickles without running what a stranger may have put into them.

NumPy's own pickled forms are rebuilt here from their bytes. NumPy itself takes shape, flags and
fields as they come: ``ndarray((1,), 'O', buffer)`` makes Python objects of any eight bytes.
"""
import io
import math
import os
import pickle
import re
import struct
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch


class CheckedDType:
    """Stands for a ``numpy.dtype`` while a pickle is read; plain numbers and texts alone."""

    PLAIN = re.compile(r'(b|i|u|f|c)[0-9]{1,2}|(S|U)[0-9]{1,9}')

    def __init__(self, code: str, *_: Any) -> None:
        if not (isinstance(code, str) and self.PLAIN.fullmatch(code)):
            raise pickle.UnpicklingError(f'it holds an array of {code!r}')
        self.code = code
        self.order: Literal['<', '>', '|', '='] = '='

    def __setstate__(self, state: tuple) -> None:
        # version, byte order, subarray, names, fields; sizes are in the code already
        if (not isinstance(state, tuple) or len(state) < 5 or state[1] not in ('<', '>', '|', '=')
                or any(part is not None for part in state[2:5])):
            raise pickle.UnpicklingError('it holds an array of fields')
        self.order = state[1]

    def real(self) -> np.dtype:
        """The dtype itself."""
        return np.dtype(self.code).newbyteorder(self.order)


class CheckedArray(np.ndarray):
    """A ``numpy.ndarray`` as a pickle may make it: empty, then filled once by its own bytes."""

    def __new__(cls, *arguments: Any) -> 'CheckedArray':
        if arguments:
            raise pickle.UnpicklingError('it calls numpy.ndarray')
        return super().__new__(cls, (0, ), 'u1')

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        if self.size or type(dtype) is not CheckedDType:
            raise pickle.UnpicklingError('it holds an array that is filled in an unusual way')
        filled: Any = (1, *_checked(shape, dtype, content), bool(fortran), bytes(content))
        super().__setstate__(filled)

    def __reduce__(self) -> Any:
        return self.view(np.ndarray).__reduce__()  # saved again, it is a plain array


def _checked(shape: Any, dtype: CheckedDType, content: Any) -> tuple[tuple, np.dtype]:
    if not isinstance(content, (bytes, bytearray)):
        raise pickle.UnpicklingError('it holds an array of objects')
    if not (isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)):
        raise pickle.UnpicklingError(f'it holds an array of shape {shape!r}')
    real = dtype.real()
    if math.prod(shape) * real.itemsize != len(content):
        raise pickle.UnpicklingError(f'it holds an array of shape {shape} and {real}, but with '
                                     f'{len(content)} bytes')
    return shape, real


def checked_reconstruct(*_: Any) -> CheckedArray:
    """In place of ``numpy.core.multiarray._reconstruct``."""
    return CheckedArray()


def checked_scalar(dtype: CheckedDType, content: bytes) -> np.generic:
    """In place of ``numpy.core.multiarray.scalar``."""
    _checked((1, ), dtype, content)
    return np.frombuffer(content, dtype.real())[0]


def _from_buffer(content: bytes, dtype: CheckedDType, shape: tuple, order: Any, *_: Any
                 ) -> np.ndarray:
    shape, real = _checked(shape, dtype, content)
    # a copy, as memory of bytes cannot be written to
    return np.frombuffer(content, real).copy().reshape(shape, order='F' if order == 'F' else 'C')


# what reading a damaged pickle or checkpoint can end with
DAMAGE = (EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError, ImportError,
          RuntimeError, MemoryError, OverflowError, AssertionError, SystemError, struct.error)


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


NUMPY: dict[tuple[str, str], Callable] = {
    ('numpy', 'ndarray'): CheckedArray,
    ('numpy', 'dtype'): CheckedDType,
}
for _core in ('numpy.core', 'numpy._core'):  # NumPy 2 moved them
    NUMPY[f'{_core}.multiarray', '_reconstruct'] = checked_reconstruct
    NUMPY[f'{_core}.multiarray', 'scalar'] = checked_scalar
ALLOWED: dict[tuple[str, str], Callable] = {
    **NUMPY,
    ('numpy.core.numeric', '_frombuffer'): _from_buffer,
    ('numpy._core.numeric', '_frombuffer'): _from_buffer,
    ('collections', 'OrderedDict'): OrderedDict,
    ('_codecs', 'encode'): _encode,
    ('__builtin__', 'bytes'): _no_bytes,
    ('torch._utils', '_rebuild_tensor_v2'): torch._utils._rebuild_tensor_v2,
    ('torch.storage', '_load_from_bytes'): _load_storage,
}


_Python: Any = pickle._Unpickler


class _Unpickler(_Python):
    """Knows what stands in :data:`ALLOWED`, and sets the state of its own stand-ins alone.

    In Python, since the one in C keeps a list as long as the largest number that a pickle claims,
    and lets a pickle set attributes of functions, which stay for the whole process.
    """

    dispatch = dict(_Python.dispatch)

    def find_class(self, module: str, name: str) -> Callable:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f'it holds {module}.{name}')
        return ALLOWED[module, name]

    def load_build(self) -> None:
        owner = self.stack[-2]
        if type(owner) not in (CheckedArray, CheckedDType):
            raise pickle.UnpicklingError(f'it sets the state of {owner!r:.80}')
        super().load_build()

    def load_bytearray8(self) -> None:
        length, = struct.unpack('<Q', self.read(8))
        self.append(bytearray(self.read(length)))  # pickle's own makes one of any claimed length

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8


def _plain(value: Any, done: dict[int, Any]) -> Any:
    """Containers with plain arrays for the checked ones, each one once however often it occurs."""
    if id(value) in done:
        return done[id(value)]
    result = value
    if isinstance(value, CheckedDType):
        result = value.real()
    elif isinstance(value, CheckedArray):
        result = value.view(np.ndarray)
    elif isinstance(value, dict):
        result = done[id(value)] = type(value)()
        result.update((key, _plain(inner, done)) for key, inner in value.items())
    elif isinstance(value, list):
        result = done[id(value)] = []
        result.extend(_plain(inner, done) for inner in value)
    elif isinstance(value, tuple):
        result = tuple(_plain(inner, done) for inner in value)
    done[id(value)] = result
    return result


def load_pickle_safely(path: str) -> Any:
    """Read a pickle of plain containers, numbers, texts, NumPy arrays and torch tensors.

    Args:
        path (str): Path of the file.

    Returns:
        Any: Its content.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds anything else, of which nothing is run then, or is
            damaged or not a pickle.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path} does not exist')
    try:
        with open(path, 'rb') as file:
            # all of it first: a length that the pickle claims cannot be larger then
            return _plain(_Unpickler(io.BytesIO(file.read())).load(), {})
    except pickle.UnpicklingError as error:
        raise ValueError(
            f'{path} is refused and nothing of it was run: {str(error).splitlines()[0]}. Only '
            'plain containers, numbers, texts, NumPy arrays and torch tensors are read') from error
    except DAMAGE as error:
        raise ValueError(f'{path} ({os.path.getsize(path)} bytes) cannot be read: {error}. It is '
                         'not a pickle, or damaged or incomplete') from error

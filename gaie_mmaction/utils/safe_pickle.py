"""Pickles from untrusted sources: arrays and tensors are read, nothing is run.

NumPy's own unpickling takes shape, flags and fields as they come:
``ndarray((1,), 'O', buffer)`` turns any eight bytes into a Python object. Stand-ins rebuild arrays
from their bytes instead, also for ``torch.load`` (:mod:`gaie_mmaction.compat`).
"""
import io
import math
import os
import pickle
import re
import struct
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import IO, Any, Literal

import numpy as np
import torch

# arrays and tensors take at most this many bytes for each byte of their file
MAX_GROWTH = 4
ROOM = 2**20  # of every file, however small
# what reading a damaged pickle, zip or checkpoint can end with
DAMAGE = (EOFError, ValueError, TypeError, AttributeError, LookupError, ImportError, RuntimeError,
          MemoryError, OverflowError, AssertionError, SystemError, OSError, struct.error,
          zipfile.BadZipFile, zlib.error)

_bytes_left: ContextVar[float] = ContextVar('bytes_left', default=math.inf)


@contextmanager
def limited_growth(size: int) -> Iterator[None]:
    """Limit the arrays built in the block to :data:`MAX_GROWTH` times ``size``, plus 1 MiB."""
    # a pickle may name the bytes of one array a million times
    token = _bytes_left.set(MAX_GROWTH * size + ROOM)
    try:
        yield
    finally:
        _bytes_left.reset(token)


def _spend(num_bytes: int) -> None:
    left = _bytes_left.get() - num_bytes
    if left < 0:
        raise pickle.UnpicklingError(
            f'its arrays would take more than {MAX_GROWTH} times its size, the limit '
            'gaie_mmaction.utils.safe_pickle.MAX_GROWTH')
    _bytes_left.set(left)


def require_uncompressed(file: IO[bytes]) -> None:
    """Refuse a zip whose records declare more bytes than the file has, before one is read.

    ``torch.save`` and ``numpy.savez`` never compress. Files that are not zips pass.
    """
    start = file.read(2)
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if start == b'PK':
        with zipfile.ZipFile(file) as archive:
            declared = sum(record.file_size for record in archive.infolist())
        file.seek(0)
        if declared > size:
            raise pickle.UnpicklingError(f'its records would take {declared} bytes, but the file '
                                         f'has {size}: save it without compression')


class CheckedDType:
    """Stands for a ``numpy.dtype``: numbers, booleans and texts only."""

    PLAIN = re.compile(r'(b|i|u|f|c)[0-9]{1,2}|(S|U)[0-9]{1,9}')

    def __init__(self, code: str, *_: Any) -> None:
        if not (isinstance(code, str) and self.PLAIN.fullmatch(code)):
            raise pickle.UnpicklingError(f'it holds a NumPy array of dtype {code!r}')
        self.code = code
        self.order: Literal['<', '>', '|', '='] = '='

    def __setstate__(self, state: tuple) -> None:
        # version, byte order, subarray, names, fields; sizes are in the code already
        if (not isinstance(state, tuple) or len(state) < 5 or state[1] not in ('<', '>', '|', '=')
                or any(part is not None for part in state[2:5])):
            raise pickle.UnpicklingError('it holds a NumPy array with fields')
        self.order = state[1]

    def real(self) -> np.dtype:
        return np.dtype(self.code).newbyteorder(self.order)


class CheckedArray(np.ndarray):
    """Stands for a ``numpy.ndarray``: created empty, then filled once with its own bytes."""

    def __new__(cls, *arguments: Any) -> 'CheckedArray':
        if arguments:
            raise pickle.UnpicklingError('it calls numpy.ndarray')
        return super().__new__(cls, (0, ), 'u1')

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        if self.size or type(dtype) is not CheckedDType:
            raise pickle.UnpicklingError('it holds a NumPy array with an unusual state')
        filled: Any = (1, *_checked(shape, dtype, content), bool(fortran), bytes(content))
        super().__setstate__(filled)

    def __reduce__(self) -> Any:
        return self.view(np.ndarray).__reduce__()  # saved again, it is a plain array


def _checked(shape: Any, dtype: CheckedDType, content: Any) -> tuple[tuple, np.dtype]:
    if not isinstance(content, (bytes, bytearray)):
        raise pickle.UnpicklingError('it holds a NumPy array of objects')
    if not (isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)):
        raise pickle.UnpicklingError(f'it holds a NumPy array of shape {shape!r}')
    real = dtype.real()
    if math.prod(shape) * real.itemsize != len(content):
        raise pickle.UnpicklingError(f'it holds a NumPy array of shape {shape} and dtype {real}, '
                                     f'but with {len(content)} bytes')
    _spend(len(content))
    return shape, real


def _reconstruct(*_: Any) -> CheckedArray:
    return CheckedArray()


def _scalar(dtype: CheckedDType, content: bytes) -> np.generic:
    _checked((1, ), dtype, content)
    return np.frombuffer(content, dtype.real())[0]


def _from_buffer(content: bytes, dtype: CheckedDType, shape: tuple, order: Any, *_: Any
                 ) -> np.ndarray:
    shape, real = _checked(shape, dtype, content)
    # a copy, as memory of bytes cannot be written to
    return np.frombuffer(content, real).copy().reshape(shape, order='F' if order == 'F' else 'C')


def _load_storage(content: bytes) -> object:
    # torch's own function reads this inner pickle without any limit
    _spend(len(content))
    file = io.BytesIO(content)
    require_uncompressed(file)
    return torch.load(file, weights_only=True)


def _rebuild_tensor(storage: Any, offset: int, size: tuple, stride: tuple,
                    requires_grad: bool = False, *_: Any) -> torch.Tensor:
    tensor = torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad,
                                             OrderedDict())  # no hooks of the file's
    # strides of 0 would let a few bytes stand for any number of values
    if tensor.nbytes > tensor.untyped_storage().nbytes():
        raise pickle.UnpicklingError(f'it holds a tensor of shape {tuple(size)} with fewer values')
    return tensor


def _encode(text: str, encoding: str) -> bytes:
    # protocol 2, which mmengine writes, keeps bytes as text
    if encoding != 'latin1':
        raise pickle.UnpicklingError(f'it holds text in the encoding {encoding!r}')
    _spend(len(text))
    return text.encode('latin1')


def _no_bytes() -> bytes:
    return b''  # in protocol 2, empty bytes are a call


NUMPY: dict[tuple[str, str], Callable] = {
    ('numpy', 'ndarray'): CheckedArray,
    ('numpy', 'dtype'): CheckedDType,
}
for _core in ('numpy.core', 'numpy._core'):  # NumPy 2 moved them
    NUMPY[f'{_core}.multiarray', '_reconstruct'] = _reconstruct
    NUMPY[f'{_core}.multiarray', 'scalar'] = _scalar
    NUMPY[f'{_core}.numeric', '_frombuffer'] = _from_buffer
ALLOWED: dict[tuple[str, str], Callable] = {
    **NUMPY,
    ('collections', 'OrderedDict'): OrderedDict,
    ('_codecs', 'encode'): _encode,
    ('__builtin__', 'bytes'): _no_bytes,
    ('torch._utils', '_rebuild_tensor_v2'): _rebuild_tensor,
    ('torch.storage', '_load_from_bytes'): _load_storage,
}

_Python: Any = pickle._Unpickler


class _Unpickler(_Python):
    """Calls only what :data:`ALLOWED` names, and sets the state of its own stand-ins only.

    In Python, since the one in C allocates a list as long as the largest number that a pickle
    claims, and lets a pickle set attributes of functions, which stay for the whole process.
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
    """Replace stand-ins by plain arrays, visiting each container once however often it occurs."""
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

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds anything else, of which nothing is run, or is damaged.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path} does not exist')
    with open(path, 'rb') as file:
        content = file.read()  # all of it: no length that the pickle claims can be larger
    try:
        with limited_growth(len(content)):
            return _plain(_Unpickler(io.BytesIO(content)).load(), {})
    except pickle.UnpicklingError as error:
        raise ValueError(
            f'{path} is refused and nothing of it was run: {str(error).splitlines()[0]}. Only '
            'plain containers, numbers, texts, NumPy arrays and torch tensors are read') from error
    except DAMAGE as error:
        raise ValueError(f'{path} ({len(content)} bytes) cannot be read ({type(error).__name__}: '
                         f'{error}). It is not a pickle, or damaged or incomplete') from error

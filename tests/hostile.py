"""Files of attackers, and files that were damaged."""
import os

import numpy as np

ARRAY = np.zeros(1).__reduce__()[:2]  # how an array is pickled, but for its state
FIELDS = (3, '|', None, ('a', ), {'a': (np.dtype('i8'), 0)}, 8, 1, 27)  # state of a dtype
ADDRESS = id(os.system).to_bytes(8, 'little')
# forms of arrays that are not plain numbers; NumPy takes bytes of objects for addresses
ARRAY_FORMS = [
    (np.ndarray, ((1, ), 'O', ADDRESS)),
    (np.ndarray, ((1, ), 'f8', bytes(8))),
    (*ARRAY, (1, (1, ), np.dtype('O'), False, [os.getcwd])),
    (*ARRAY, (1, (1, ), np.dtype('O'), False, ADDRESS)),
    (*ARRAY, (1, (1, ), np.dtype('f8'), False, [1])),
    (*ARRAY, (1, (1000, ), np.dtype('f8'), False, bytes(8))),
    (*ARRAY, (1, (-1, ), np.dtype('f8'), False, bytes(8))),
    (np.dtype, ('O8', False, True)),
    (np.dtype, ('V8', False, True), FIELDS),
    (np.dtype, ('i8', False, True), FIELDS),
    (np.float64(1).__reduce__()[0], (np.dtype('O'), ADDRESS))]


class Formed:
    """Something whose pickled form is given: a callable, its arguments, and a state."""

    def __init__(self, *form):
        self.form = form

    def __reduce__(self):
        return self.form


def attack(path):
    """Makes a folder when it is unpickled without care."""
    return Formed(os.mkdir, (str(path), ))

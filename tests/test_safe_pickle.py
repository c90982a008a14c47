"""Pickles of strangers: arrays and tensors are read, code is not run."""
import os
import pickle
import tracemalloc

import numpy as np
import pytest
import torch

from gaie_mmaction.utils.safe_pickle import load_pickle_safely


class Payload:
    """Makes a folder when it is unpickled without care."""

    def __init__(self, path, call=os.mkdir):
        self.path, self.call = path, call

    def __reduce__(self):
        return self.call, (str(self.path), )


@pytest.mark.parametrize('protocol', range(2, 6))
def test_arrays_and_tensors(tmp_path, protocol):
    content = dict(
        array=np.arange(6, dtype=np.float32).reshape(2, 3), fortran=np.asfortranarray(np.eye(3)),
        number=np.float64(.5), names=['a', ('b', None, True)], empty=np.zeros((0, 22, 2)),
        big=np.arange(3, dtype='>i4'), flags=np.array([True, False]), texts=np.array(['a', 'bc']),
        tensor=torch.arange(3.) / 7, label=torch.tensor([4]), half=torch.ones(2).half(),
        view=torch.arange(12).reshape(3, 4)[1:, ::2])
    path = tmp_path / 'a.pkl'
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    found, unchecked = load_pickle_safely(str(path)), pickle.loads(path.read_bytes())
    assert list(found) == list(content)
    for key, value in content.items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(found[key], value)
        else:
            np.testing.assert_equal(found[key], value)
        if isinstance(value, np.ndarray):
            assert type(found[key]) is np.ndarray and found[key].dtype == unchecked[key].dtype
            found[key][...] = found[key]  # it can be written to


@pytest.mark.parametrize('call', [os.mkdir, os.system, eval, open, torch.load, np.load])
def test_malicious(tmp_path, call):
    victim = tmp_path / 'victim'
    path = tmp_path / 'a.pkl'
    path.write_bytes(pickle.dumps(dict(split={}, annotations=[Payload(victim, call)])))
    with pytest.raises(ValueError, match=rf'{path} is refused and nothing of it was run: it holds '
                                         r'\w+\.'):
        load_pickle_safely(str(path))
    assert not victim.exists()
    if call is os.mkdir:
        with open(path, 'rb') as file:
            pickle.load(file)
        assert victim.exists()  # so the payload would have worked


def test_malicious_inside_a_tensor(tmp_path):
    """The bytes of a storage are a pickle of their own."""
    victim = tmp_path / 'victim'

    class Tensor:
        def __reduce__(self):
            return torch.storage._load_from_bytes, (inner.read_bytes(), )

    inner = tmp_path / 'inner.pt'
    torch.save(Payload(victim), inner)
    path = tmp_path / 'a.pkl'
    path.write_bytes(pickle.dumps([dict(pred_score=Tensor())]))
    with pytest.raises(ValueError, match='is refused and nothing of it was run'):
        load_pickle_safely(str(path))
    assert not victim.exists()


def test_attributes_of_allowed_modules(tmp_path):
    for text in (b'cnumpy\nload\n.', b'ctorch._utils\n_import_dotted_name\n.',
                 b'cbuiltins\ngetattr\n.', b'c_codecs\ndecode\n.',
                 b'c_codecs\nencode\n(Vabc\nVidna\ntR.'):
        path = tmp_path / 'a.pkl'
        path.write_bytes(text)
        with pytest.raises(ValueError, match='is refused'):
            load_pickle_safely(str(path))


class Odd:
    """An array or dtype whose pickled form is given."""

    def __init__(self, *form):
        self.form = form

    def __reduce__(self):
        return self.form


@pytest.mark.parametrize('odd, said', [
    (np.array([Payload('victim')], dtype=object), r"a NumPy array of dtype 'O8'"),
    (np.zeros(2, dtype=[('a', 'O')]), r"a NumPy array of dtype 'V8'"),
    # fields in the state of a number, so that eight bytes would become an address
    (Odd(np.dtype, ('i8', False, True), (3, '|', None, ('a', ), {'a': (np.dtype('i8'), 0)}, 8)),
     'a NumPy array with fields'),
    (Odd(*np.zeros(1).__reduce__()[:2], (1, (1, ), np.dtype('f8'), False, [1])),
     'a NumPy array of objects'),
])
def test_arrays_that_are_no_numbers(tmp_path, odd, said):
    path = tmp_path / 'a.pkl'
    path.write_bytes(pickle.dumps(odd))
    with pytest.raises(ValueError, match=f'is refused and nothing of it was run: it holds {said}'):
        load_pickle_safely(str(path))


def test_arrays_beyond_their_bytes(tmp_path):
    path = tmp_path / 'a.pkl'
    path.write_bytes(pickle.dumps(
        Odd(*np.zeros(1).__reduce__()[:2], (1, (1000, ), np.dtype('f8'), False, bytes(8)))))
    with pytest.raises(ValueError, match=r'of shape \(1000,\) and dtype float64, but with 8 bytes'):
        load_pickle_safely(str(path))


def test_shared_containers_are_read_once(tmp_path):
    """Ten lists, each ten times the one below: 231 bytes that stand for a billion items."""
    nested = [1]
    for _ in range(9):
        nested = [nested] * 10
    path = tmp_path / 'a.pkl'
    path.write_bytes(pickle.dumps(nested, protocol=2))
    found = load_pickle_safely(str(path))
    assert path.stat().st_size < 300 and len(found) == 10
    assert all(inner is found[0] for inner in found)


def test_a_list_that_holds_itself(tmp_path):
    loop = [np.zeros(1)]
    loop += [loop, dict(loop=loop)]
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(loop))
    found = load_pickle_safely(str(tmp_path / 'a.pkl'))
    assert found[1] is found and found[2]['loop'] is found and type(found[0]) is np.ndarray


@pytest.mark.parametrize('claim', [
    b'\x80\x02]r\xff\xff\xff\x1f.',  # LONG_BINPUT: place 536,870,911 of the memo
    b'\x80\x04\x8e\xff\xff\xff\xff\x00\x00\x00\x00.',  # BINBYTES8 of 4 GiB
    b'\x80\x05\x96\xff\xff\xff\xff\x00\x00\x00\x00.'])  # BYTEARRAY8 of 4 GiB
def test_claimed_sizes_take_no_memory(tmp_path, claim):
    path = tmp_path / 'a.pkl'
    path.write_bytes(claim)
    tracemalloc.start()
    try:
        found = load_pickle_safely(str(path))
    except ValueError as error:
        found = str(error)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**22 and (found == [] or 'cannot be read' in found or 'is refused' in found)


@pytest.mark.parametrize('text', [
    # BUILD on a function, a class, a tensor's function and an ordinary dict
    b'ctorch._utils\n_rebuild_tensor_v2\n(NV__defaults__\n(ltsd0\n0(N}V__defaults__\n(lst\x86b.',
    b'\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}X\x0c\x00\x00\x00__defaults__)s\x86b.',
    b'\x80\x02ccollections\nOrderedDict\n}X\x01\x00\x00\x00aK\x01sb.',
    b'\x80\x02}}X\x01\x00\x00\x00aK\x01sb.'])
def test_nothing_of_the_process_is_changed(tmp_path, text):
    before = torch._utils._rebuild_tensor_v2.__defaults__
    path = tmp_path / 'a.pkl'
    path.write_bytes(text)
    with pytest.raises(ValueError, match='is refused|cannot be read'):
        load_pickle_safely(str(path))
    assert torch._utils._rebuild_tensor_v2.__defaults__ == before


def test_damaged(tmp_path):
    path = tmp_path / 'a.pkl'
    whole = pickle.dumps(dict(array=np.arange(100.)))
    for content in (b'', whole[:50], whole[:-1], b'clip_id,video\n', b'\x80\x04' + os.urandom(99)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=str(path)):
            load_pickle_safely(str(path))
    with pytest.raises(FileNotFoundError, match='no.pkl does not exist'):
        load_pickle_safely(str(tmp_path / 'no.pkl'))

"""Hostile pickles and checkpoints: arrays and tensors are read, code is not run."""
import os
import pickle
import tracemalloc
from random import Random

import numpy as np
import pytest
import torch
from fuzzing import mutate_bytes
from hostile import ARRAY, ARRAY_FORMS, Formed, attack
from mmengine.logging import HistoryBuffer
from test_compat import mmengine_checkpoint

from gaie_mmaction.policy import load_checkpoint_safely
from gaie_mmaction.utils.safe_pickle import load_pickle_safely

REFUSED = 'is refused and nothing of it was run: it '


@pytest.fixture
def load(tmp_path):
    """Pickle something, or write bytes, and load the file."""
    path = tmp_path / 'a.pkl'

    def write_and_load(content, **options):
        path.write_bytes(content if isinstance(content, bytes) else
                         pickle.dumps(content, **options))
        return load_pickle_safely(str(path))

    return write_and_load


@pytest.fixture(params=['pickle', 'checkpoint'])
def refuse(request, load, tmp_path):
    """Something is refused for a reason, in a pickle and in a checkpoint."""

    def write_and_fail(content, reason):
        with pytest.raises((ValueError, RuntimeError), match=reason) as caught:
            if request.param == 'pickle':
                load(content, protocol=2)
            else:
                torch.save(content, tmp_path / 'a.pth', pickle_protocol=2)
                load_checkpoint_safely(str(tmp_path / 'a.pth'))
        assert caught.type is (ValueError if request.param == 'pickle' else RuntimeError)

    return write_and_fail


@pytest.mark.parametrize('protocol', range(2, 6))
def test_arrays_and_tensors(load, protocol):
    content = dict(
        array=np.arange(6, dtype=np.float32).reshape(2, 3), fortran=np.asfortranarray(np.eye(3)),
        number=np.float64(.5), names=['a', ('b', None, True)], empty=np.zeros((0, 22, 2)),
        big=np.arange(3, dtype='>i4'), flags=np.array([True, False]), texts=np.array(['a', 'bc']),
        tensor=torch.arange(3.) / 7, label=torch.tensor([4]), half=torch.ones(2).half(),
        view=torch.arange(12).reshape(3, 4)[1:, ::2])
    found = load(content, protocol=protocol)
    unchecked = pickle.loads(pickle.dumps(content, protocol=protocol))
    assert list(found) == list(content)
    for key, value in content.items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(found[key], value)
        else:
            np.testing.assert_equal(found[key], value)
        if isinstance(value, np.ndarray):
            assert type(found[key]) is np.ndarray and found[key].dtype == unchecked[key].dtype
            found[key][...] = found[key]  # it can be written to


@pytest.mark.parametrize('call', [os.mkdir, os.system, eval, open, getattr, torch.load, np.load])
def test_malicious(tmp_path, refuse, call):
    victim = tmp_path / 'victim'
    arguments = ('text', 'upper') if call is getattr else (str(victim), )
    content = dict(split={}, annotations=[Formed(call, arguments)])
    refuse(content, rf'a.p\w+ {REFUSED}(holds \w+\.|calls getattr)')
    assert not victim.exists()
    if call is os.mkdir:
        pickle.loads(pickle.dumps(content))
        assert victim.exists()  # so the attack would have worked


def test_malicious_inside_a_tensor(tmp_path, load):
    """The bytes of a storage are a pickle of their own."""
    victim, inner = tmp_path / 'victim', tmp_path / 'inner.pt'
    torch.save(attack(victim), inner)
    with pytest.raises(ValueError, match='is refused and nothing of it was run'):
        load([dict(pred_score=Formed(torch.storage._load_from_bytes, (inner.read_bytes(), )))])
    assert not victim.exists()


@pytest.mark.parametrize('text', [
    b'cnumpy\nload\n.', b'ctorch._utils\n_import_dotted_name\n.', b'cbuiltins\ngetattr\n.',
    b'c_codecs\ndecode\n.', b'c_codecs\nencode\n(Vabc\nVidna\ntR.'])
def test_attributes_of_allowed_modules(load, text):
    with pytest.raises(ValueError, match='is refused'):
        load(text)


@pytest.mark.parametrize('odd, said', [
    (np.array([attack('victim')], dtype=object), "a NumPy array of dtype 'O8'"),
    (np.zeros(2, dtype=[('a', 'O')]), "a NumPy array of dtype 'V8'"),
    (Formed(*ARRAY_FORMS[4]), 'a NumPy array of objects'),
    (Formed(*ARRAY_FORMS[5]), r'a NumPy array of shape \(1000,\) and dtype float64, but with 8 b'),
    (Formed(*ARRAY_FORMS[9]), 'a NumPy array with fields')])
def test_arrays_that_are_not_numbers(load, odd, said):
    with pytest.raises(ValueError, match=f'{REFUSED}holds {said}'):
        load(odd)


@pytest.mark.parametrize('form', [*ARRAY_FORMS, (HistoryBuffer, ([[1]] * 9, [1] * 9))])
def test_nothing_but_plain_numbers_becomes_an_array(refuse, form):
    """NumPy takes the bytes of an array of objects for addresses."""
    refuse(Formed(*form), f'{REFUSED}(holds|calls) ')


def test_tensors_beyond_their_bytes(load):
    storage = torch.ones(1).storage()
    form = (torch._utils._rebuild_tensor_v2, (storage, 0, (10**12, ), (0, ), False, {}))
    with pytest.raises(ValueError, match=r'tensor of shape \(1000000000000,\) with fewer values'):
        load(Formed(*form))


@pytest.mark.parametrize('item', [
    lambda content: Formed(*ARRAY, (1, (20_000, ), np.dtype('u1'), False, content)),
    lambda content: Formed(torch.storage._load_from_bytes, (content, ))])
@pytest.mark.parametrize('protocol', [2, 4])
def test_bytes_that_are_named_a_thousand_times(tmp_path, load, protocol, item):
    torch.save(torch.ones(4000), tmp_path / 'inner.pt')
    content = bytes(20_000)
    if item(content).form[0] is torch.storage._load_from_bytes:
        content = (tmp_path / 'inner.pt').read_bytes()
    with pytest.raises(ValueError, match='would take more than 4 times its size, the limit '):
        load([item(content) for _ in range(1000)], protocol=protocol)
    assert (tmp_path / 'a.pkl').stat().st_size < 120_000


def test_shared_containers_are_read_once(load):
    """Ten lists, each ten times the one below: 231 bytes that stand for a billion items."""
    nested = [1]
    for _ in range(9):
        nested = [nested] * 10
    found = load(nested, protocol=2)
    assert len(found) == 10 and all(inner is found[0] for inner in found)
    loop = [np.zeros(1)]
    loop += [loop, dict(loop=loop)]
    found = load(loop)
    assert found[1] is found and found[2]['loop'] is found and type(found[0]) is np.ndarray


@pytest.mark.parametrize('claim', [
    b'\x80\x02]r\xff\xff\xff\x1f.',  # LONG_BINPUT: place 536,870,911 of the memo
    b'\x80\x04\x8e\xff\xff\xff\xff\x00\x00\x00\x00.',  # BINBYTES8 of 4 GiB
    b'\x80\x05\x96\xff\xff\xff\xff\x00\x00\x00\x00.'])  # BYTEARRAY8 of 4 GiB
def test_claimed_sizes_take_no_memory(load, claim):
    tracemalloc.start()
    try:
        found = load(claim)
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
def test_nothing_of_the_process_is_changed(load, text):
    before = torch._utils._rebuild_tensor_v2.__defaults__
    with pytest.raises(ValueError, match='is refused|cannot be read'):
        load(text)
    assert torch._utils._rebuild_tensor_v2.__defaults__ == before


@pytest.mark.parametrize('kind, option', [
    ('pickle', 2), ('pickle', 4), ('checkpoint', True), ('checkpoint', False)])
def test_mutated_files(tmp_path, kind, option):
    """Whatever was changed, the file is read or refused."""
    path, refused = tmp_path / 'a.pth', 0
    if kind == 'pickle':
        clip = dict(clip_id='0054_0', pred_score=torch.ones(4), array=np.arange(9.),
                    gt_label=torch.tensor([1]))
        path.write_bytes(pickle.dumps([clip], protocol=option))
        load, error = load_pickle_safely, ValueError
    else:
        torch.save(mmengine_checkpoint(), path, _use_new_zipfile_serialization=option)
        load, error = load_checkpoint_safely, RuntimeError
    whole = path.read_bytes()
    for seed in range(500):
        path.write_bytes(mutate_bytes(whole, Random(seed)))
        try:
            load(str(path))
        except error as caught:
            assert type(caught) is error and str(path) in str(caught)
            refused += 1
    assert 200 < refused < 500


def test_files_that_are_not_pickles(tmp_path, load):
    for content in (b'', b'clip_id,video\n'):
        with pytest.raises(ValueError, match='a.pkl .*(cannot be read|is refused)'):
            load(content)
    with pytest.raises(FileNotFoundError, match='no.pkl does not exist'):
        load_pickle_safely(str(tmp_path / 'no.pkl'))

"""Text features: the file, what is wrong with others, and the tool that makes it."""
import json
import pickle
import sys
import types

import numpy as np
import pytest
import torch
from hostile import attack
from running import run_tool

from gaie_mmaction.datasets import IMIGUE_CLASSES
from gaie_mmaction.models.multimodal.text_features import read_text_features, write_text_features

NAMES = ['nod', 'shrug', 'wave']
TOOL = 'data/text_features.py'


def test_there_and_back(tmp_path):
    write_text_features(str(tmp_path / 'a.npz'), NAMES, np.array([[3., 4], [0, 2], [-1, 0]]))
    found = read_text_features(str(tmp_path / 'a.npz'), NAMES)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[.6, .8], [0, 1], [-1, 0]], rtol=1e-6)


@pytest.mark.parametrize('classes, features, said', [
    (NAMES[:2], np.eye(3), 'a.npz has 3 classes, but the model has 2'),
    (['nod', 'wave', 'shrug'], np.eye(3), "of 2 classes, e.g. 1: 'shrug' instead of 'wave'"),
    (NAMES, np.ones(3), r'must be \(K, D\) floats for its 3 classes, but are \(3,\)'),
    (NAMES, np.ones((4, 2)), r'but are \(4, 2\)'),
    (NAMES, np.array([[1., 0], [np.nan, 1], [1, 1]]), "1 classes are zero or not finite, .*shrug"),
    (NAMES, np.array([[1., 0], [1, 1], [0, 0]]), "1 classes are zero or not finite, e.g. 'wave'")])
def test_wrong_content(tmp_path, classes, features, said):
    write_text_features(str(tmp_path / 'a.npz'), NAMES, features)
    with pytest.raises(ValueError, match=said):
        read_text_features(str(tmp_path / 'a.npz'), classes)


def test_other_files(tmp_path):
    payload = attack(tmp_path / 'victim')
    np.savez(tmp_path / 'object.npz', classes=np.array(NAMES),
             features=np.array([payload], dtype=object))
    np.savez(tmp_path / 'keys.npz', names=np.array(NAMES))
    np.save(tmp_path / 'array.npy', np.ones(3))
    (tmp_path / 'p.npz').write_bytes(pickle.dumps(payload))
    (tmp_path / 'empty.npz').touch()
    (tmp_path / 'cut.npz').write_bytes((tmp_path / 'keys.npz').read_bytes()[:100])
    for name in ('object.npz', 'keys.npz', 'array.npy', 'p.npz', 'empty.npz', 'cut.npz'):
        with pytest.raises(ValueError, match=f'{name} is not a file of text features, an .npz of'):
            read_text_features(str(tmp_path / name), NAMES)
    assert not (tmp_path / 'victim').exists()


@pytest.fixture
def transformers(monkeypatch):
    """Stands in for the package: a text's feature tells its length."""
    def tokenizer(texts, **options):
        assert options == dict(padding=True, truncation=True, return_tensors='pt')
        return dict(texts=texts)

    class Model(torch.nn.Module):
        def forward(self, texts):
            module.texts = texts
            features = torch.tensor([[len(text), 1.] for text in texts])
            return types.SimpleNamespace(text_embeds=features)

    def from_pretrained(what):
        def load(folder, local_files_only):
            assert local_files_only
            module.folders.append(folder)
            return what
        return types.SimpleNamespace(from_pretrained=load)

    module = types.ModuleType('transformers')
    module.folders = []
    module.AutoTokenizer = from_pretrained(tokenizer)
    module.CLIPTextModelWithProjection = from_pretrained(Model())
    monkeypatch.setitem(sys.modules, 'transformers', module)
    return module


def test_tool(tmp_path, transformers):
    (tmp_path / 'clip').mkdir()
    (tmp_path / 'clip/config.json').write_text('{}')
    out = str(tmp_path / 'new' / 'text.npz')
    assert run_tool(TOOL, tmp_path / 'clip', '--out', out) == (
        None, f'{out}: 2 channels of 32 classes\n')
    assert transformers.folders == [str(tmp_path / 'clip')] * 2
    assert transformers.texts[2] == 'a video of a person: touching hat'
    lengths = np.array([len(text) for text in transformers.texts])
    found = read_text_features(out, IMIGUE_CLASSES)
    np.testing.assert_allclose(found[:, 0] / found[:, 1], lengths, rtol=1e-5)
    (tmp_path / 'own.txt').write_text('Nod\n\nWave\n')
    run_tool(TOOL, tmp_path / 'clip', '--out', out, '--classes', tmp_path / 'own.txt',
             '--template', '{}!')
    assert transformers.texts == ['nod!', 'wave!']
    assert read_text_features(out, ['Nod', 'Wave']).shape == (2, 2)


def test_tool_with_a_real_clip(tmp_path):
    """The transformers package is optional: run where it is installed."""
    transformers = pytest.importorskip('transformers')
    vocabulary = {'<|startoftext|>': 0, '<|endoftext|>': 1}
    for letter in 'abcdefghijklmnopqrstuvwxyz:,()-':
        vocabulary[letter] = len(vocabulary)
        vocabulary[f'{letter}</w>'] = len(vocabulary)
    (tmp_path / 'vocab.json').write_text(json.dumps(vocabulary))
    (tmp_path / 'merges.txt').write_text('#version: 0.2\n')
    transformers.CLIPTokenizer(str(tmp_path / 'vocab.json'), str(tmp_path / 'merges.txt')
                               ).save_pretrained(tmp_path / 'clip')
    small = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
                 projection_dim=8)
    transformers.CLIPModel(transformers.CLIPConfig(
        text_config=dict(small, vocab_size=len(vocabulary), max_position_embeddings=77,
                         bos_token_id=0, eos_token_id=1, pad_token_id=1),
        vision_config=dict(small, image_size=32, patch_size=16),
        projection_dim=8)).save_pretrained(tmp_path / 'clip')
    out = str(tmp_path / 'text.npz')
    assert run_tool(TOOL, tmp_path / 'clip', '--out', out)[0] is None
    found = read_text_features(out, IMIGUE_CLASSES)
    assert found.shape == (32, 8) and len(np.unique(found.round(4), axis=0)) == 32


def test_errors_of_the_tool(tmp_path, monkeypatch, transformers):
    def fail(*arguments):
        return run_tool(TOOL, tmp_path, '--out', tmp_path / 'a.npz', *arguments)[0]

    (tmp_path / 'empty.txt').write_text('\n')
    assert 'does not hold a CLIP: it has no config.json' in fail()
    assert 'No such file' in fail('--classes', tmp_path / 'none.txt')
    assert 'empty.txt names no class' in fail('--classes', tmp_path / 'empty.txt')
    assert fail('--template', 'person') == 2
    monkeypatch.setitem(sys.modules, 'transformers', None)
    assert 'pip install transformers`, or compute the features elsewhere' in fail()
    assert not (tmp_path / 'a.npz').exists()

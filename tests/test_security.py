"""Files of strangers run nothing; what unpickling and unpacking do is tested beside them."""
import ast
import os

import numpy as np
import pytest
import torch
from hostile import attack
from launching import ROOT
from mmengine.runner import checkpoint
from mmengine.runner.checkpoint import CheckpointLoader
from numbered_video import write_video
from tiny_training import make_runner, write_config

from gaie_mmaction.datasets.video_file import VideoFile
from gaie_mmaction.models.multimodal.text_features import read_text_features

SOURCES = sorted(path for folder in ('gaie_mmaction', 'tools')
                 for path in (ROOT / folder).rglob('*.py'))
FORBIDDEN = {
    'eval', 'exec', 'os.system', 'os.popen', 'subprocess.getoutput',
    'subprocess.getstatusoutput', 'pickle.load', 'pickle.loads', 'pickle.Unpickler', 'joblib.load',
    'mmengine.load', 'yaml.load', 'marshal.loads', 'shelve.open', 'pd.read_pickle',
    'shutil.unpack_archive', 'tarfile.open', 'extractall', 'extract'
}


def risky_calls(source):
    """Calls that run a shell, code or pickles, or unpack without looking; by line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        risky = name in FORBIDDEN or name.rsplit('.', 1)[-1] in FORBIDDEN - {'eval'}
        for keyword in node.keywords:
            value = ast.unparse(keyword.value)
            risky |= keyword.arg in ('shell', 'allow_pickle') and value != 'False'
            risky |= keyword.arg == 'weights_only' and value != 'True'
        if risky:
            found.append((node.lineno, ast.unparse(node)))
    return found


@pytest.mark.parametrize('path', SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_shell_no_code_no_plain_pickle(path):
    assert risky_calls(path.read_text()) == []


@pytest.mark.parametrize('source', [
    'subprocess.run(name, shell=True)', 'os.system(name)', 'eval(text)', 'pickle.load(file)',
    'np.load(path, allow_pickle=True)', 'torch.load(path, weights_only=False)',
    'zipfile.ZipFile(path).extractall(folder)', 'mmengine.load(path)',
    'torch.load(path, weights_only=flag)'])
def test_the_test_above_can_fail(source):
    assert len(risky_calls(source)) == 1
    assert risky_calls('model.eval(); torch.load(path); np.load(path)') == []


@pytest.mark.parametrize('prefix', ['https://', 'torchvision://', 'open-mmlab://'])
def test_downloaded_checkpoint(tmp_path, monkeypatch, prefix):
    """Of an address that is named in some way; the file is as if it came from there."""
    marker, address = tmp_path / 'attacked', 'https://example.com/evil.pth'
    (tmp_path / 'checkpoints').mkdir()
    torch.save(dict(state_dict=attack(marker)), tmp_path / 'checkpoints' / 'evil.pth')
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setattr(checkpoint, 'get_torchvision_models', lambda: dict(evil=address))
    monkeypatch.setattr(checkpoint, 'get_external_models', lambda: dict(evil=address))
    monkeypatch.setattr(checkpoint, 'get_deprecated_model_names', dict)
    name = address if prefix == 'https://' else f'{prefix}evil'
    with pytest.raises(RuntimeError, match='evil.pth is refused and nothing of it was run'):
        CheckpointLoader.load_checkpoint(name)
    assert not marker.exists()


def test_checkpoint_to_resume_from(tmp_path):
    config, marker, work = write_config(tmp_path), tmp_path / 'attacked', tmp_path / 'work'
    work.mkdir()
    torch.save(dict(state_dict={}, meta=attack(marker)), work / 'epoch_1.pth')
    (work / 'last_checkpoint').write_text(str(work / 'epoch_1.pth'))
    with pytest.raises(RuntimeError, match='epoch_1.pth is refused and nothing of it was run'):
        make_runner(config, resume=True).train()
    assert not marker.exists()


def test_compressed_features(tmp_path):
    """An .npz of 4 KB that would take 4 MB."""
    path = str(tmp_path / 'features.npz')
    np.savez_compressed(path, classes=np.array(['a']), features=np.zeros((1, 10**6), np.float32))
    with pytest.raises(ValueError, match='features.npz .* records would take 40.* bytes, but the '):
        read_text_features(path, ['a'])


@pytest.mark.parametrize('name', [
    'a; touch attacked #.mp4', '$(touch attacked).mp4', '`touch attacked`.mp4', "a' 'b.mp4",
    '-i.mp4', 'concat:a|b.mp4', '| touch attacked.mp4'])
def test_file_names_are_names(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / 'plain.mp4', 5)
    os.rename('plain.mp4', name)
    assert len(VideoFile(str(tmp_path / name))) == 5  # datasets, too, put their folder before it
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_readme_says_that_configs_are_code():
    assert 'Config files are code, and so is a `--dump` file' in ' '.join(
        (ROOT / 'docs/imigue.md').read_text().split())

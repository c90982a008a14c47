"""tools/export.py from checkpoint to verified file."""
from dataclasses import replace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from running import run_tool
from small_model import write_small_model

from gaie_mmaction.apis import build_recognizer
from gaie_mmaction.export import FORMATS, output_files

DIFFERS = 'an exported file differs from PyTorch: see the table'
SMALL = '--shape', 8, 32, 32


@pytest.fixture
def run(root, tmp_path):
    """Export the small model by torch.export, or another model in another format."""
    small = write_small_model(tmp_path, root)

    def run(*arguments, files=small, format='torch-export'):
        return run_tool('export.py', *files, '--format', format, '--out', tmp_path / 'out',
                        *arguments)

    return run


def test_verified_and_timed(run, tmp_path):
    code, output = run('--verify', '--benchmark', '--rounds', 2, *SMALL)
    assert code is None and 'agrees' in output and '100.00 100.00' in output
    assert 'PyTorch' in output and '1.00x' in output
    scores, *kept = FORMATS['torch-export'].load(tmp_path / 'out/small.pt2')(
        np.zeros((1, 3, 8, 32, 32), np.float32))
    # 2 x 2 x 2 = 8 tokens, of which ceil(.7 * 8) = 6 and then ceil(.7 * 6) = 5 are kept
    assert scores.shape == (1, 32) and [places.shape for places in kept] == [(1, 6), (1, 5)]


def test_out_is_a_folder_or_one_file(run, tmp_path):
    assert run('--out', tmp_path / 'x.pt2', *SMALL)[0] is None
    assert (tmp_path / 'x.pt2').is_file() and not (tmp_path / 'out').exists()
    (tmp_path / 'v1.onnx').mkdir()
    for out in ('v1.2', str(tmp_path / 'v1.onnx')):
        assert [path.as_posix() for path in output_files(out, ['onnx-int8', 'onnx'], 'm').values()
                ] == [f'{out}/m-int8.onnx', f'{out}/m.onnx']
    with pytest.raises(ValueError, match='onnx files end in .onnx, but got x.pt2'):
        output_files('x.pt2', ['onnx'], 'm')
    with pytest.raises(ValueError, match='x.onnx is one file, but 2 formats need a folder'):
        output_files('x.onnx', ['onnx', 'onnx-int8'], 'm')


def test_files_that_differ(run, monkeypatch):
    code, output = run('--verify', '--tolerance', '-1', *SMALL)
    assert code == DIFFERS and 'DIFFERS' in output
    good = FORMATS['torch-export']

    def load(path):
        return lambda frames: (.5 * good.load(path)(frames)[0], *good.load(path)(frames)[1:])

    monkeypatch.setitem(FORMATS, 'torch-export', replace(good, load=load, lower_precision=.15))
    code, output = run('--verify', *SMALL)
    assert code == DIFFERS and 'DIFFERS' in output


def test_errors_in_one_line(run, root, tmp_path):
    model = build_recognizer(Config.fromfile(root / 'configs/tsm_r50_imigue.py'))
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'tsm.pth')
    assert 'none.pth' in run(files=(tmp_path / 'small.py', tmp_path / 'none.pth'))[0]
    assert 'must be a multiple of 16' in run('--shape', 8, 30, 32)[0]
    assert 'fit' in run('--cfg-options', 'model.cls_head.num_classes=5')[0]
    assert 'only a Recognizer3D of clips (B, 3, T, H, W) can be exported, but got a Recogni' in run(
        files=(root / 'configs/tsm_r50_imigue.py', tmp_path / 'tsm.pth'))[0]


@pytest.mark.slow
def test_full_size_onnx(run, root, tmp_path):
    """ViT-B at keep ratio 0.7: ONNX Runtime equals PyTorch to 1e-4, and keeps the same tokens."""
    pytest.importorskip('onnxscript')
    pytest.importorskip('onnxruntime')
    cfg = Config.fromfile(root / 'configs/gaie_vitb_imigue.py')
    cfg.model.backbone.pretrained = None
    torch.manual_seed(0)
    model = build_recognizer(cfg)
    model.init_weights()
    for block in model.backbone.blocks:
        block.attn.qkv.weight.data *= 4  # attention that is far from uniform, as after training
    model.cls_head.fc_cls.weight.data *= 10  # and scores of some units
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'vitb.pth')
    del model
    code, output = run('--verify', format='onnx',
                       files=(root / 'configs/gaie_vitb_imigue.py', tmp_path / 'vitb.pth'))
    assert code is None, output
    assert '100.00 100.00 100.00' in output and 'agrees' in output


@pytest.mark.slow
def test_aotinductor(run):
    code, output = run('--verify', format='aotinductor')
    assert code is None and 'agrees' in output


@pytest.mark.slow
def test_a_rival(run, root, tmp_path):
    """VideoSwin keeps tensors of its first run, which must not be those of the tracer."""
    config = root / 'configs/videoswin_tiny_imigue.py'
    torch.manual_seed(0)
    model = build_recognizer(Config.fromfile(config))
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'swin.pth')
    code, output = run('--verify', '--shape', 8, 64, 64, files=(config, tmp_path / 'swin.pth'))
    assert code is None and 'agrees' in output

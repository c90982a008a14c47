"""tools/export.py from checkpoint to verified file."""
import sys
from dataclasses import replace

import export
import numpy as np
import pytest
import torch
from mmengine.config import Config
from small_model import write_small_model

from gaie_mmaction.benchmark import build_recognizer
from gaie_mmaction.export import FORMATS


@pytest.fixture
def run(monkeypatch, capsys):

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['export.py', *map(str, arguments)])
        code = None
        try:
            export.main()
        except SystemExit as end:
            code = end.code
        return code, capsys.readouterr().out

    return run


def test_verified_and_timed(run, root, tmp_path):
    files = write_small_model(tmp_path, root)
    code, output = run(*files, '--format', 'torch-export', '--verify', '--benchmark', '--rounds',
                       '2', '--out-dir', tmp_path / 'out', '--shape', 8, 32, 32)
    assert code is None and 'agrees' in output and '100.00 100.00' in output
    assert 'PyTorch' in output and '1.00x' in output
    run_file = FORMATS['torch-export'].load(tmp_path / 'out/small.pt2')
    scores, *kept = run_file(np.zeros((1, 3, 8, 32, 32), np.float32))
    # 2 x 2 x 2 = 8 tokens, of which ceil(.7 * 8) = 6 and then ceil(.7 * 6) = 5 are kept
    assert scores.shape == (1, 32) and [places.shape for places in kept] == [(1, 6), (1, 5)]


def test_a_file_that_differs(run, root, tmp_path):
    files = write_small_model(tmp_path, root)
    code, output = run(*files, '--format', 'torch-export', '--verify', '--tolerance', '-1',
                       '--out-dir', tmp_path, '--shape', 8, 32, 32)
    assert code == 'an exported file differs from PyTorch: see the table' and 'DIFFERS' in output


def test_a_file_of_lower_precision_that_is_wrong(run, root, tmp_path, monkeypatch):
    files = write_small_model(tmp_path, root)
    good = FORMATS['torch-export']

    def load(path):
        return lambda frames: (.5 * good.load(path)(frames)[0], *good.load(path)(frames)[1:])

    monkeypatch.setitem(FORMATS, 'torch-export', replace(good, load=load, lower_precision=.15))
    code, output = run(*files, '--format', 'torch-export', '--verify', '--out-dir', tmp_path,
                       '--shape', 8, 32, 32)
    assert code == 'an exported file differs from PyTorch: see the table' and 'DIFFERS' in output


def test_errors_in_one_line(run, root, tmp_path):
    config, checkpoint = write_small_model(tmp_path, root)
    for arguments, message in (
            ((config, tmp_path / 'none.pth'), 'none.pth'),
            ((config, checkpoint, '--shape', 8, 30, 32), 'must be a multiple of 16'),
            ((config, checkpoint, '--cfg-options', 'model.cls_head.num_classes=5'), 'fit')):
        code, _ = run(*arguments, '--format', 'torch-export', '--out-dir', tmp_path)
        assert message in code


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
    code, output = run(root / 'configs/gaie_vitb_imigue.py', tmp_path / 'vitb.pth', '--format',
                       'onnx', '--verify', '--out-dir', tmp_path)
    assert code is None, output
    assert '100.00 100.00 100.00' in output and 'agrees' in output


@pytest.mark.slow
def test_aotinductor(run, root, tmp_path):
    files = write_small_model(tmp_path, root)
    code, output = run(*files, '--format', 'aotinductor', '--verify', '--out-dir', tmp_path)
    assert code is None and 'agrees' in output


@pytest.mark.slow
def test_a_rival(run, root, tmp_path):
    """VideoSwin keeps tensors of its first run, which must not be those of the tracer."""
    config = root / 'configs/videoswin_tiny_imigue.py'
    torch.manual_seed(0)
    model = build_recognizer(Config.fromfile(config))
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'swin.pth')
    code, output = run(config, tmp_path / 'swin.pth', '--format', 'torch-export', '--verify',
                       '--out-dir', tmp_path, '--shape', 8, 64, 64)
    assert code is None and 'agrees' in output


def test_frames_one_by_one_are_refused(run, root, tmp_path):
    config = root / 'configs/tsm_r50_imigue.py'
    model = build_recognizer(Config.fromfile(config))
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'tsm.pth')
    code, _ = run(config, tmp_path / 'tsm.pth', '--format', 'torch-export', '--out-dir', tmp_path)
    assert code.startswith('only a Recognizer3D') and 'Recognizer2D' in code

"""Each workaround does its work, and is still needed."""
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from launching import needs_mim
from mmengine.logging import MessageHub
from mmengine.runner.checkpoint import CheckpointLoader

from gaie_mmaction import compat


def run_python(code, *arguments):
    """Run code in a fresh process, with every warning that a user would see."""
    return subprocess.run([sys.executable, '-c', code, *arguments], capture_output=True, text=True)


def mmengine_checkpoint():
    """What mmengine's Runner writes: weights, optimizer state, log buffers, NumPy numbers."""
    hub = MessageHub('test')
    for step in range(3):
        hub.update_scalar('train/loss', 1. / (step + 1))
    hub.update_info('best_score', np.float64(.5))
    hub.update_info('count', np.int64(7))
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return dict(state_dict=layer.state_dict(), optimizer=optimizer.state_dict(),
                message_hub=hub.state_dict(), meta=dict(epoch=1))


@pytest.mark.parametrize('imports', [
    'import gaie_mmaction, mmaction.models',
    pytest.param('import gaie_mmaction.ops', marks=pytest.mark.slow),
    pytest.param('import mmengine.runner, gaie_mmaction', marks=pytest.mark.slow),
    pytest.param('import mmaction, gaie_mmaction, mmaction.models',
                 marks=[pytest.mark.slow, needs_mim]),
    pytest.param('import torch, mmcv, mmaction.registry, gaie_mmaction, mmaction.apis',
                 marks=needs_mim)
])
def test_import_is_quiet_in_any_order(imports):
    result = run_python(imports)
    assert (result.returncode, result.stdout, result.stderr) == (0, '', '')


def test_checkpoint_of_mmengine_loads(tmp_path):
    checkpoint = mmengine_checkpoint()
    torch.save(checkpoint, tmp_path / 'epoch_1.pth')
    loaded = CheckpointLoader.load_checkpoint(str(tmp_path / 'epoch_1.pth'))
    history, _ = loaded['message_hub']['log_scalars']['train/loss'].data
    np.testing.assert_allclose(history, [1, 1 / 2, 1 / 3])
    assert loaded['message_hub']['log_scalars']['train/loss'].statistics('min') == 1 / 3
    assert loaded['message_hub']['runtime_info']['best_score'] == .5
    for key, value in checkpoint['optimizer']['state'][0].items():
        assert torch.equal(loaded['optimizer']['state'][0][key], value)


@pytest.mark.parametrize('installed, message', [
    (dict(), 'no package provides it'),
    (dict(mmcv='1.7.2'), 'mmcv 1.7.2 is installed, but gaie_mmaction needs >=2.0.0,<3.0.0'),
    ({'mmcv-lite': '3.0.0'}, 'mmcv-lite 3.0.0 is installed'),
    ({'mmcv': '2.1.0', 'mmcv-lite': '2.2.0'}, 'mmcv 2.1.0 and mmcv-lite 2.2.0 are installed toge'),
    ({'mmcv-lite': '2.1.0', 'onedl-mmcv': '2.3.6'}, 'pip uninstall -y mmcv-lite onedl-mmcv'),
])
def test_mmcv_is_checked(monkeypatch, installed, message):
    monkeypatch.setattr(compat, '_installed_version', installed.get)
    find_spec = compat.importlib.util.find_spec
    monkeypatch.setattr(compat.importlib.util, 'find_spec',
                        lambda name: None if name == 'mmcv' and not installed else find_spec(name))
    with pytest.raises(ImportError, match=message) as caught:
        compat.require_mmcv()
    assert all(f'"{name}>=' in str(caught.value) for name in compat.MMCV_PACKAGES)


@pytest.mark.parametrize('package', compat.MMCV_PACKAGES)
@pytest.mark.parametrize('number', ['2.0.0', '2.1.0', '2.2.0', '2.3.6'])
def test_good_mmcv_passes(monkeypatch, package, number):
    monkeypatch.setattr(compat, '_installed_version', {package: number}.get)
    compat.require_mmcv()


def test_newer_mmcv_is_accepted():
    """MMAction2 sees an older number while it is imported, and nothing else does."""
    result = run_python("import mmcv; mmcv.__version__ = '2.3.6'\nimport gaie_mmaction\n"
                        'import mmaction.models\nprint(mmcv.__version__)')
    assert (result.stdout, result.stderr) == ('2.3.6\n', '')


# Each of the following fails once upstream has mended its bug: delete the workaround then.

BARE = """
import importlib.util, inspect, json, sys, warnings
facts = {}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    import mmcv.cnn.bricks.transformer
facts['warnings'] = [str(one.message) for one in caught]
mmcv.__version__ = '2.2.0'
try:
    import mmaction
except AssertionError as error:
    facts['mmcv'] = str(error)
mmcv.__version__ = '2.1.0'
try:
    import mmaction.models
except ImportError as error:
    facts['models'] = str(error)
from mmengine.analysis.complexity_analysis import _DEFAULT_SUPPORTED_FLOP_OPS
facts['counts attention'] = 'aten::scaled_dot_product_attention' in _DEFAULT_SUPPORTED_FLOP_OPS
from mmengine.runner import checkpoint
facts['checks downloads'] = 'weights_only' in inspect.getsource(checkpoint.load_from_http)
from torch.hub import load_state_dict_from_url
defaults = inspect.signature(load_state_dict_from_url).parameters
facts['torch checks downloads'] = defaults['weights_only'].default
try:
    checkpoint.load_from_local(sys.argv[1], 'cpu')
except Exception as error:
    facts['own checkpoint'] = str(error)
print(json.dumps(facts))
"""


@pytest.fixture(scope='module')
def bare(tmp_path_factory):
    """What upstream does by itself."""
    path = tmp_path_factory.mktemp('bare') / 'epoch_1.pth'
    torch.save(mmengine_checkpoint(), path)
    return json.loads(run_python(BARE, str(path)).stdout.splitlines()[-1])


@pytest.mark.parametrize('fact, said', [
    ('models', "No module named 'mmaction.models.localizers.drn'"),
    ('mmcv', 'MMCV==2.2.0 is used but incompatible'),
    ('warnings', 'Fail to import ``MultiScaleDeformableAttention``'),
    ('counts attention', 'False'), ('checks downloads', 'False'),
    ('torch checks downloads', 'False'),
    ('own checkpoint', 'Unsupported global: GLOBAL mmengine.logging.history_buffer')])
def test_upstream_still_needs(bare, fact, said):
    assert said in str(bare[fact])


@pytest.fixture
def beside_transformers(tmp_path, monkeypatch):
    """A package that says it is transformers 5, for fresh processes."""
    (tmp_path / 'transformers').mkdir()
    (tmp_path / 'transformers/__init__.py').touch()
    (tmp_path / 'transformers-5.0.0.dist-info').mkdir()
    (tmp_path / 'transformers-5.0.0.dist-info/METADATA').write_text(
        'Metadata-Version: 2.1\nName: transformers\nVersion: 5.0.0\n')
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join(
        filter(None, (str(tmp_path), os.environ.get('PYTHONPATH')))))


def test_import_beside_transformers(beside_transformers):
    result = run_python('import gaie_mmaction; from mmaction.registry import MODELS; '
                        "MODELS.get('VindLUVQA')()")
    assert 'requires extra multi-modal dependencies' in result.stderr


@pytest.mark.slow
def test_mmaction_still_fails_beside_transformers(beside_transformers):
    result = run_python(
        'import importlib.util as util; '
        f'spec = util.spec_from_file_location("compat", {compat.__file__!r}); '
        'compat = util.module_from_spec(spec); spec.loader.exec_module(compat); '
        'compat.stub_missing_drn(); import mmaction.models')
    assert 'mmaction/models/multimodal/vindlu' in result.stderr and 'Error' in result.stderr


def test_heads_take_bfloat16_scores():
    from mmaction.models.heads import BaseHead
    from mmaction.registry import MODELS
    from mmaction.structures import ActionDataSample
    head = MODELS.build(dict(type='TimeSformerHead', num_classes=3, in_channels=4))
    scores = torch.tensor([[0., 3., 1.], [2., 0., 0.]]).bfloat16().requires_grad_()
    samples = [ActionDataSample().set_gt_label(label) for label in (1, 2)]
    losses = head.loss_by_feat(scores, samples)
    expected = torch.nn.functional.cross_entropy(scores.float(), torch.tensor([1, 2]))
    assert torch.equal(losses['loss_cls'], expected) and losses['top1_acc'] == .5
    losses['loss_cls'].backward()
    assert scores.grad.dtype == torch.bfloat16
    with pytest.raises(TypeError, match='BFloat16'):  # still needed
        BaseHead.loss_by_feat.__wrapped__(head, scores, samples)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('average', ['prob', 'score'])
def test_scores_of_half_precision_are_averaged_in_float32(dtype, average):
    """Five views; rounded sums would tie classes and could not be dumped."""
    from mmaction.models.heads import BaseHead
    from mmaction.registry import MODELS
    head = MODELS.build(dict(type='TimeSformerHead', num_classes=32, in_channels=4,
                             average_clips=average))
    scores = torch.randn(200 * 5, 32, generator=torch.Generator().manual_seed(0)).to(dtype)
    exact = scores.double() if average == 'score' else scores.double().softmax(-1)
    exact = exact.view(200, 5, 32).mean(1)
    with torch.autocast('cpu', torch.bfloat16):
        found = head.average_clip(scores, num_segs=5)
        upstream = BaseHead.average_clip.__wrapped__(head, scores, num_segs=5)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-6)
    assert (upstream.double() - exact).abs().max() > 1e-5  # still needed

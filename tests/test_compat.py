"""Each workaround does its work, and is still needed."""
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.runner.checkpoint import CheckpointLoader

from gaie_mmaction import compat


def run_python(code):
    """Run code in a fresh process, with every warning that a user would see."""
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)


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
    'import gaie_mmaction', 'import gaie_mmaction.ops', 'import gaie_mmaction, mmaction.models',
    'import mmaction, gaie_mmaction, mmaction.models', 'import mmengine.runner, gaie_mmaction',
    'import torch, mmcv, mmaction.registry, gaie_mmaction, mmaction.apis'
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


class Attack:
    """Runs a command when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('name', ['system', 'getattr', 'eval'])
def test_code_in_a_checkpoint_is_refused(tmp_path, name):
    marker, path = tmp_path / 'attacked', str(tmp_path / 'bad.pth')
    attack = dict(
        system=Attack(os.system, f'touch {marker}'),
        getattr=Attack(getattr, 'text', 'upper'),
        eval=Attack(eval, f"open({str(marker)!r}, 'w')"))[name]
    torch.save(dict(state_dict={}, meta=attack), path)
    with pytest.raises(RuntimeError, match=f'{path} is refused and nothing of it was run'):
        CheckpointLoader.load_checkpoint(path)
    assert not marker.exists()


def test_attack_would_work_without_the_workaround(tmp_path):
    """So that the test above can fail."""
    marker = tmp_path / 'attacked'
    pickle.loads(pickle.dumps(Attack(os.system, f'touch {marker}')))
    assert marker.exists()


@pytest.mark.parametrize('content', [
    b'<!DOCTYPE html>', b'version https://git-lfs.github.com/spec/v1'])
def test_something_else_saved_as_a_checkpoint(tmp_path, content):
    (tmp_path / 'weights.pth').write_bytes(content)
    with pytest.raises(RuntimeError, match='weights.pth is no checkpoint: it begins with b.'
                                           + content.decode()[:15]):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'weights.pth'))


def test_damaged_checkpoint(tmp_path):
    path = tmp_path / 'cut.pth'
    torch.save(mmengine_checkpoint(), path)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(RuntimeError, match=r'cut.pth \(600 bytes\) cannot be read'):
        CheckpointLoader.load_checkpoint(str(path))
    with pytest.raises(FileNotFoundError, match='absent.pth'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'absent.pth'))


@pytest.mark.parametrize('installed, message', [
    (dict(), 'neither is installed'),
    (dict(mmcv='2.2.0'), 'mmcv 2.2.0 is installed'),
    ({'mmcv-lite': '2.2.0'}, 'mmcv-lite 2.2.0 is installed'),
    ({'mmcv': '2.1.0', 'mmcv-lite': '2.1.0'}, 'both installed'),
])
def test_mmcv_is_checked(monkeypatch, installed, message):
    monkeypatch.setattr(compat, '_installed_version', installed.get)
    find_spec = compat.importlib.util.find_spec
    monkeypatch.setattr(compat.importlib.util, 'find_spec',
                        lambda name: None if name == 'mmcv' and not installed else find_spec(name))
    with pytest.raises(ImportError, match=message) as caught:
        compat.require_mmcv()
    assert 'mmcv-lite>=' in str(caught.value) and '"mmcv>=' in str(caught.value)


@pytest.mark.parametrize('number', ['2.0.0', '2.1.0'])
def test_good_mmcv_passes(monkeypatch, number):
    monkeypatch.setattr(compat, '_installed_version', dict(mmcv=number).get)
    compat.require_mmcv()


# Each of the following fails once upstream has mended its bug: delete the workaround then.


def test_drn_is_still_missing():
    result = run_python('import mmaction.models')
    assert "No module named 'mmaction.models.localizers.drn'" in result.stderr


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


def test_mmaction_still_fails_beside_transformers(beside_transformers):
    result = run_python(
        'import importlib.util as util; '
        f'spec = util.spec_from_file_location("compat", {compat.__file__!r}); '
        'compat = util.module_from_spec(spec); spec.loader.exec_module(compat); '
        'compat.stub_missing_drn(); import mmaction.models')
    assert 'mmaction/models/multimodal/vindlu' in result.stderr and 'Error' in result.stderr


def test_mmengine_still_cannot_read_its_own_checkpoints(tmp_path):
    torch.save(mmengine_checkpoint(), tmp_path / 'epoch_1.pth')
    result = run_python('from mmengine.runner.checkpoint import load_from_local; '
                        f"load_from_local('{tmp_path}/epoch_1.pth', 'cpu')")
    assert 'Unsupported global: GLOBAL mmengine.logging.history_buffer' in result.stderr


def test_mmengine_still_downloads_without_the_check():
    import inspect

    from torch.hub import load_state_dict_from_url
    assert inspect.signature(load_state_dict_from_url).parameters['weights_only'].default is False
    result = run_python('import inspect, mmengine.runner.checkpoint as c; '
                        "print('weights_only' in inspect.getsource(c.load_from_http))")
    assert result.stdout.strip() == 'False'


def test_mmengine_still_does_not_count_fused_attention():
    result = run_python('from mmengine.analysis.complexity_analysis import '
                        '_DEFAULT_SUPPORTED_FLOP_OPS as o; '
                        "print('aten::scaled_dot_product_attention' in o)")
    assert result.stdout.strip() == 'False'


def test_mmcv_lite_still_warns():
    result = run_python('import mmcv.cnn.bricks.transformer')
    assert 'Fail to import ``MultiScaleDeformableAttention``' in result.stderr


def test_mmaction_still_asserts_mmcv_below_2_2():
    result = run_python("import mmcv; mmcv.__version__ = '2.2.0'; import mmaction")
    assert 'AssertionError: MMCV==2.2.0' in result.stderr


def test_heads_take_bfloat16_scores():
    from mmaction.models.heads import BaseHead
    from mmaction.registry import MODELS
    from mmaction.structures import ActionDataSample
    from mmengine.registry import init_default_scope
    init_default_scope('mmaction')
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


def test_scores_are_dumped_first(tmp_path):
    from mmengine.evaluator import BaseMetric, DumpResults, Evaluator

    class Refuses(BaseMetric):

        def process(self, data_batch, data_samples):
            self.results += data_samples

        def compute_metrics(self, results):
            raise ValueError('refused')

    def is_dumped(init, path):
        evaluator = Evaluator.__new__(Evaluator)
        init(evaluator, [Refuses(), DumpResults(str(path))])
        evaluator.process([dict(clip_id='0001_0')])
        with pytest.raises(ValueError, match='refused'):
            evaluator.evaluate(1)
        return path.exists()

    assert is_dumped(Evaluator.__init__, tmp_path / 'ours.pkl')
    assert not is_dumped(Evaluator.__init__.__wrapped__, tmp_path / 'theirs.pkl')  # still needed

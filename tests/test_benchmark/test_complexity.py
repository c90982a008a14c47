"""Costs against the paper, thop, formulas and MMAction2's own tool."""
import re
import subprocess
import sys

import pytest
import torch
from launching import needs_mim
from mmengine.config import Config
from running import run_tool
from small_model import narrow_vit
from torch import nn

from gaie_mmaction.apis import build_recognizer, view_shape
from gaie_mmaction.benchmark import input_shape, measure_complexity


@pytest.mark.parametrize('config, paper, true', [('gaie_vitb_imigue', '65.820', '113.625'),
                                                 ('vivit_vitb_imigue', '101.848', '180.345')])
def test_published_figures(root, config, paper, true):
    """The paper's Table 3 (published), and the true cost of the same networks."""
    _, output = run_tool('analysis/get_flops.py', root / f'configs/{config}.py')
    assert f'true:               {true} GMACs' in output
    assert f'convention: {paper} GMACs' in output


def test_shape_option(root):
    cfg = Config.fromfile(root / 'configs/demo/vivit_demo.py')
    model = build_recognizer(cfg, 'meta')
    cost = measure_complexity(model, (3, 8, 64, 64))
    tokens, dims, depth = 2 * 4 * 4, 96, 6
    expected = tokens * dims * 3 * 4 * 16 * 16 + dims * 32
    expected += depth * (12 * dims * dims * tokens + 2 * tokens * tokens * dims)
    assert cost.true_macs == expected
    assert sum(cost.true_groups.values()) == expected
    assert cost.parameters == sum(p.numel() for p in model.parameters())


def test_paper_convention_is_thops():
    """thop itself, on a network of the layers that it knows."""
    from thop import profile

    class Net(nn.Module):

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv3d(3, 8, (2, 4, 4), (2, 4, 4))
            self.norm = nn.LayerNorm(8)
            self.qkv = nn.Linear(8, 24, bias=False)
            self.fc = nn.Linear(8, 5)

        def forward(self, x, stage=None):
            x = self.norm(self.conv(x.flatten(0, 1)).flatten(2).transpose(1, 2))
            q, k, v = nn.functional.linear(x, self.qkv.weight).chunk(3, -1)
            return self.fc((q @ k.transpose(1, 2)).softmax(-1) @ v)

    net = Net().eval()
    expected, _ = profile(net, (torch.zeros(1, 1, 3, 4, 16, 16), ), verbose=False)
    for module in net.modules():
        module._forward_hooks.clear()
    assert measure_complexity(net, (3, 4, 16, 16)).paper_macs == expected


@needs_mim
@pytest.mark.slow
@pytest.mark.parametrize('config', ['gaie_demo', 'vivit_demo'])
def test_upstreams_tool_does_not_leave_out_attention(root, config, tmp_path):
    """MMAction2's get_flops agrees but for the norms that it counts besides."""
    path = root / f'configs/demo/{config}.py'
    result = subprocess.run(
        [sys.executable, '-m', 'mim', 'run', 'mmaction', 'get_flops', str(path), '--shape', '1',
         '3', '16', '96', '96'], cwd=tmp_path, capture_output=True, text=True)
    flops = float(re.search(r'Flops: ([\d.]+)G', result.stdout)[1]) * 1e9
    cost = measure_complexity(build_recognizer(Config.fromfile(path), 'meta'), (3, 16, 96, 96))
    assert cost.true_groups['attention products'] > .04 * cost.true_macs
    assert flops == pytest.approx(cost.true_macs, rel=.02)


def test_the_device_does_not_matter(root):
    """The counter knows no fused attention of CPUs."""
    for path in ('configs/demo/gaie_demo.py', 'configs/reducers/diffrate_vitb_imigue.py',
                 'configs/reducers/vidtldr_vitb_imigue.py'):
        cfg = narrow_vit(Config.fromfile(root / path))
        on_cpu = measure_complexity(build_recognizer(cfg), (3, 8, 32, 32))
        assert measure_complexity(build_recognizer(cfg, 'meta'), (3, 8, 32, 32)) == on_cpu


@pytest.mark.parametrize('config, shape', [
    ('gaie_vitb_imigue', (3, 16, 224, 224)), ('tsm_r50_imigue', (3, 8, 224, 224)),
    ('demo/gaie_demo', (3, 16, 96, 96)), ('posec3d_imigue_limb', (21, 48, 64, 64))
])
def test_view_shape(root, config, shape):
    cfg = Config.fromfile(root / f'configs/{config}.py')
    assert view_shape(cfg) == shape
    model = build_recognizer(cfg, 'meta')
    assert view_shape(cfg, (4, 32, 64)) == (shape[0], 4, 32, 64)
    expected = (2, 8, 3, 224, 224) if 'tsm' in config else (2, 1, *shape)
    assert input_shape(model, shape, 2) == expected
    for step in cfg.test_dataloader.dataset.pipeline:
        step.pop('clip_len', None)
    with pytest.raises(ValueError, match=f'{config}.py names no clip_len and crop_size: give --sh'):
        view_shape(cfg)


def test_view_shape_of_a_graph_network(root):
    """One person, 100 frames, 22 joints; the last values are x, y and score."""
    cfg = Config.fromfile(root / 'configs/stgcn_imigue_joint.py')
    assert view_shape(cfg) == (1, 100, 22, 3)
    cost = measure_complexity(build_recognizer(cfg, 'meta'), view_shape(cfg))
    assert cost.parameters == 3_087_388 and cost.true_macs > 1e9
    with pytest.raises(ValueError, match='stgcn_imigue_joint.py is a network of joints'):
        view_shape(cfg, (16, 96, 96))


@pytest.mark.parametrize('config, said', [
    *((f'multimodal/{name}_imigue', 'takes frames and skeletons at once')
      for name in ('m2hen', 'protogesture', 'vclip')),
    ('pretraining/videomae_vitb_imigue', 'has no test pipeline')])
def test_no_view_of_one_shape(root, config, said):
    code, _ = run_tool('analysis/get_flops.py', root / f'configs/{config}.py')
    assert f'{config}.py {said}' in code and '\n' not in code

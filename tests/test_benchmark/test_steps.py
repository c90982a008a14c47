"""The timed steps are the host's."""
import copy

import pytest
import torch
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.runner import set_random_seed
from small_model import narrow_vit

from gaie_mmaction.apis import build_recognizer
from gaie_mmaction.benchmark import inference_step, training_step

SHAPE = (3, 8, 32, 32)


def load(root, config):
    cfg = Config.fromfile(root / f'configs/{config}.py')
    if config.startswith('tsm'):
        cfg.model.backbone.depth, cfg.model.cls_head.in_channels = 18, 512
    else:
        narrow_vit(cfg)
    return cfg, build_recognizer(cfg)


@pytest.mark.parametrize('config', ['gaie_vitb_imigue', 'tsm_r50_imigue', 'demo/gaie_demo',
                                    'gaie_vitb_imigue_extras', 'reducers/diffrate_vitb_imigue'])
def test_training_step_is_the_hosts(root, config):
    """The same weights as after ``model.train_step`` on the same clips, dropout and mixing."""
    cfg, model = load(root, config)
    torch.nn.init.normal_(model.cls_head.fc_cls.weight)
    host = copy.deepcopy(model).train()
    torch.manual_seed(1)
    step = training_step(model, cfg, SHAPE, 2, torch.float32)
    torch.manual_seed(1)
    wrapper = build_optim_wrapper(host, copy.deepcopy(cfg.optim_wrapper))
    shape = (2, 8, 3, 32, 32) if config.startswith('tsm') else (2, 1, *SHAPE)
    clips, labels = 255 * torch.rand(shape), torch.randint(32, (2, ))
    before = copy.deepcopy(host.state_dict())
    for _ in range(2):
        set_random_seed(2)
        step()
        set_random_seed(2)
        samples = [ActionDataSample().set_gt_label(int(label)) for label in labels]
        host.train_step(dict(inputs=list(clips), data_samples=samples), wrapper)
    after = host.state_dict()
    assert any(not torch.equal(after[key], before[key]) for key in after)
    for key, value in model.state_dict().items():
        assert torch.equal(value, after[key]), key
    assert all(p.grad is None for p in model.parameters())


def test_mixed_precision_of_the_config_is_replaced(root):
    cfg, model = load(root, 'gaie_vitb_imigue')
    cfg.optim_wrapper.update(type='AmpOptimWrapper', dtype='float16', loss_scale='dynamic')
    before = model.cls_head.fc_cls.weight.clone()
    training_step(model, cfg, SHAPE, 1, torch.bfloat16)()
    assert model.cls_head.fc_cls.weight.dtype == torch.float32
    assert not torch.equal(model.cls_head.fc_cls.weight, before)


@pytest.mark.parametrize('config', ['gaie_vitb_imigue', 'tsm_r50_imigue'])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_inference_step(root, config, dtype):
    _, model = load(root, config)
    torch.manual_seed(1)
    step = inference_step(model.train(), SHAPE, 3, dtype)
    scores = step()
    assert scores.shape == (3, 32) and scores.dtype == dtype and not scores.requires_grad
    assert torch.equal(step(), scores)  # nothing random: evaluation mode
    torch.manual_seed(1)
    inputs = torch.randn((3, 8, 3, 32, 32) if config.startswith('tsm') else (3, 1, *SHAPE))
    with torch.no_grad():
        expected = model.eval()(inputs, stage='head')
    torch.testing.assert_close(scores.float(), expected, rtol=.05, atol=.05)
    assert torch.equal(scores, expected) == (dtype == torch.float32)


def test_without_the_optimizer_nothing_changes(root):
    cfg, model = load(root, 'gaie_vitb_imigue')
    before, hooked = copy.deepcopy(model.state_dict()), []
    model.cls_head.fc_cls.weight.register_post_accumulate_grad_hook(
        lambda parameter: hooked.append(parameter.grad.abs().max().item()))
    training_step(model, cfg, SHAPE, 2, torch.float32, update=False)()
    assert hooked[0] > 0
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())

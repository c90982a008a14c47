"""Peak memory against sums of bytes that are known."""
from functools import partial

import pytest
import torch
from mmengine.config import Config
from torch import nn

from gaie_mmaction.apis import build_recognizer
from gaie_mmaction.benchmark import inference_step, peak_memory, training_step

MIB = 2**20


class Hold(nn.Module):
    """One MiB of weights and another of buffers."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(MIB // 4))
        self.register_buffer('table', torch.zeros(MIB // 4))


def test_counts_what_is_held_at_once():
    old = torch.zeros(8 * MIB)  # neither it nor its release is the step's

    def make_step():
        inputs = torch.zeros(MIB)  # 4 MiB
        blocks = [old]

        def step():
            first = torch.zeros(2 * MIB)  # 8 MiB
            del first
            blocks.clear()
            second = inputs + 1  # 4 MiB
            third = second + 1  # 4 MiB
            return third

        return step

    for _ in range(2):  # nothing is left of an earlier measurement
        assert peak_memory(Hold(), make_step) == pytest.approx(14 * MIB, abs=1024)


def test_optimizer_state_counts():
    model = Hold()

    def make_step():
        optimizer = torch.optim.Adam(model.parameters())

        def step():
            model.weight.sum().backward()
            optimizer.step()
            optimizer.zero_grad()

        return step

    # weights, table, gradient and two states; what the update needs besides comes on top
    assert 5 * MIB <= peak_memory(model, make_step) <= 8 * MIB
    assert model.weight.grad is None


SHAPE = (3, 16, 96, 96)


def make(root, **changes):
    cfg = Config.fromfile(root / 'configs/demo/vivit_demo.py')
    cfg.model.backbone.update(changes)
    cfg.model.cls_head.in_channels = cfg.model.backbone.embed_dims
    return cfg, build_recognizer(cfg)


def test_ranks_models(root):
    """A large model above a small one, training above inference, a batch above a clip."""
    found = {}
    for name, changes in dict(small=dict(depth=2), deep=dict(depth=6),
                              wide=dict(depth=2, embed_dims=192)).items():
        cfg, model = make(root, **changes)
        clip, batch, training = (peak_memory(model, partial(*step, torch.float32)) for step in (
            (inference_step, model, SHAPE, 1), (inference_step, model, SHAPE, 4),
            (training_step, model, cfg, SHAPE, 1)))
        weights = 4 * sum(p.numel() for p in model.parameters())
        assert weights < clip < batch and clip < training
        assert training > 4 * weights  # Adam
        found[name] = clip, batch, training
    for name in ('deep', 'wide'):
        assert all(small < large for small, large in zip(found['small'], found[name]))


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_gpu_agrees_with_cpu(root):
    _, model = make(root)
    step = [peak_memory(model.to(device), partial(inference_step, model, SHAPE, 4, torch.float32))
            for device in ('cpu', 'cuda')]
    assert step[1] == pytest.approx(step[0], rel=.5)

"""One step of inference and one of training, on random input."""
from collections.abc import Callable, Sequence

import torch
from mmaction.models import BaseRecognizer
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from torch import nn

from .complexity import input_shape


def inference_step(model: nn.Module, shape: Sequence[int], batch_size: int,
                   dtype: torch.dtype) -> Callable[[], torch.Tensor]:
    """A recognizer's forward pass from normalised input to scores, in evaluation mode.

    ``shape`` is that of one view, ``(C, T, H, W)``; ``dtype`` is ``float32`` or autocast's.
    """
    device = next(model.parameters()).device
    inputs = torch.randn(input_shape(model, shape, batch_size), device=device)

    @torch.no_grad()
    def step() -> torch.Tensor:
        model.eval()
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            return model(inputs, stage='head')

    return step


def training_step(model: BaseRecognizer, cfg: Config, shape: Sequence[int], batch_size: int,
                  dtype: torch.dtype, update: bool = True) -> Callable[[], None]:
    """One iteration of mmengine's training loop, without hooks and data loading.

    That is the data preprocessor, the config's loss, its gradients and a step of the config's
    optimizer, which changes the weights; without ``update`` the gradients are dropped instead.
    ``dtype`` replaces the mixed precision of the config.
    """
    device = next(model.parameters()).device
    settings = {key: value for key, value in cfg.optim_wrapper.items()
                if key not in ('type', 'dtype', 'loss_scale', 'use_fsdp')}
    optim_wrapper = build_optim_wrapper(model, dict(settings, type='OptimWrapper'))
    clips = 255 * torch.rand(input_shape(model, shape, batch_size), device=device)
    labels = torch.randint(model.cls_head.num_classes, (batch_size, )).tolist()
    samples = [ActionDataSample().set_gt_label(label) for label in labels]

    def step() -> None:
        model.train()
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32), \
                optim_wrapper.optim_context(model):
            batch = model.data_preprocessor(
                dict(inputs=list(clips), data_samples=[sample.clone() for sample in samples]),
                training=True)
            losses = model(**batch, mode='loss')
        loss, _ = model.parse_losses(losses)
        if update:
            optim_wrapper.update_params(loss)
        else:
            optim_wrapper.backward(loss)
            optim_wrapper.zero_grad()

    return step

"""Multiply-adds of a recognizer in two conventions.

*True* counts every product once: convolutions, linear layers, attention (also fused) and the
matching of a token reducer. *Paper* is what the counter ``thop`` sees, and agrees with the paper's
Table 3: convolutions, linear layers that are called as modules, and norms, but neither the qkv
product, a functional call, nor the attention products.
"""
import copy
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmaction.models import Recognizer2D
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, register_flop_formula

REST = 'norms and others'
PROJECTIONS = 'attention qkv and projection'
# module name -> group; the first that fits
GROUPS = (('patch_embed', 'patch embedding'), ('attn', PROJECTIONS), ('.mlp', 'mlp'),
          ('.neck', 'token matching'), ('.downsample', 'downsampling'), ('.conv', 'convolutions'),
          ('cls_head', 'head'))
ATTENTION_PRODUCTS = ('aten.bmm', 'aten._scaled_dot_product')
NORMS = (nn.LayerNorm, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.InstanceNorm3d)


@register_flop_formula(torch.ops.gaie_mmaction.match_tokens)
def _match_flops(metric: list[int], keep_idx: list[int], merge_idx: list[int],
                 **_: object) -> int:
    return 2 * metric[0] * metric[2] * keep_idx[1] * merge_idx[1]


@register_flop_formula(torch.ops.gaie_mmaction.distinctness)
def _distinctness_flops(metric: list[int], importance: list[int], **_: object) -> int:
    # the whole map: of many tokens the blocks above its diagonal are left out, up to half of it
    return 2 * metric[0] * metric[2] * metric[1]**2


@dataclass(frozen=True)
class Complexity:
    """Cost of one view, in total and by module group."""
    shape: Sequence[int]  # (C, T, H, W)
    true_macs: float
    paper_macs: float
    parameters: int
    true_groups: dict[str, float]
    parameter_groups: dict[str, int]


def input_shape(model: nn.Module, shape: Sequence[int], batch_size: int = 1) -> tuple[int, ...]:
    """A batch of views ``(C, T, H, W)`` as the recognizer takes it.

    That is ``(B, 1, C, T, H, W)``, or ``(B, T, C, H, W)`` for a ``Recognizer2D``.
    """
    if isinstance(model, Recognizer2D):
        channels, frames, *pixels = shape
        return (batch_size, frames, channels, *pixels)
    return (batch_size, 1, *shape)


def measure_complexity(model: nn.Module, shape: Sequence[int]) -> Complexity:
    """Count one view ``(C, T, H, W)`` on a copy of the recognizer on ``'meta'``.

    Nothing is computed there, and the counts do not depend on the device, whose own attention
    kernels ``FlopCounterMode`` may not know.
    """
    model = copy.deepcopy(model).to('meta').eval()
    paper_macs = 0.

    def count(module: nn.Module, inputs: tuple, output: Any) -> None:
        nonlocal paper_macs
        if isinstance(module, nn.Linear):
            paper_macs += output.numel() * module.in_features
        elif isinstance(module, NORMS):
            # subtract and divide; an affine norm multiplies and adds besides
            paper_macs += inputs[0].numel() * (4 if module.weight is not None else 2)
        elif isinstance(module, (nn.Conv2d, nn.Conv3d)):
            paper_macs += output.numel() * module.weight[0].numel()

    for module in model.modules():
        module.register_forward_hook(count)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.empty(input_shape(model, shape), device='meta'), stage='head')
    parameters: dict[str, int] = defaultdict(int)
    for name, parameter in model.named_parameters():
        parameters[_group_of(name)] += parameter.numel()
    return Complexity(tuple(shape), counter.get_total_flops() / 2, paper_macs,
                      sum(parameters.values()), _group_flops(counter), dict(parameters))


def _group_of(name: str) -> str:
    return next((group for part, group in GROUPS if part in name), REST)


def _group_flops(counter: FlopCounterMode) -> dict[str, float]:
    """Multiply-adds by group, from the modules that have a group and no parent with one."""
    groups: dict[str, float] = defaultdict(float)
    for name, operators in counter.get_flop_counts().items():
        parents = ['.'.join(name.split('.')[:end]) for end in range(1, name.count('.') + 1)]
        group = _group_of(name)
        if group == REST or any(_group_of(parent) != REST for parent in parents):
            continue
        for operator, flops in operators.items():
            product = group == PROJECTIONS and str(operator).startswith(ATTENTION_PRODUCTS)
            groups['attention products' if product else group] += flops / 2
    groups[REST] = counter.get_total_flops() / 2 - sum(groups.values())
    return {group: macs for group, macs in groups.items() if macs}

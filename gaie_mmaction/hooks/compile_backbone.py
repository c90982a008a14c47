"""Compile the backbone, and nothing else of the model."""
from typing import Any

import torch
from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..models import TokenReducer
from ..models.pretraining.masked_model import MaskedModel
from .checks import unwrap
from .token_map_hook import TokenMapHook


@HOOKS.register_module()
class CompileBackboneHook(Hook):
    """Compile the backbone by ``torch.compile``, in place.

    With small batches a fast GPU waits for Python to launch kernels; ``'reduce-overhead'``
    replays them as a CUDA graph. mmengine's own ``compile`` wraps the whole training step, which
    reads losses back. The keys of the state_dict stay, so checkpoints of compiled and eager
    models are interchangeable.

    Args:
        mode (str): See ``torch.compile``. Defaults to ``'reduce-overhead'``.

    Raises:
        ValueError: If the model has no backbone or does not call it, as in masked pretraining, or
            a :class:`TokenMapHook`, whose record compiled code does not make, is among the hooks.
    """

    priority = 'LOW'  # after TokenKeepRatioWarmupHook

    def __init__(self, mode: str = 'reduce-overhead') -> None:
        self.mode = mode
        self._ratios: list[float | None] = []

    def before_run(self, runner: Runner) -> None:
        """Compile; the first forward pass in each mode takes the time."""
        model = unwrap(runner.model)
        if getattr(model, 'backbone', None) is None:
            raise ValueError(f'CompileBackboneHook found no backbone in {type(model).__name__}')
        if isinstance(model, MaskedModel):
            raise ValueError(f'{type(model).__name__} runs the blocks of its backbone itself, and '
                             'nothing would be compiled: take CompileBackboneHook out of '
                             'custom_hooks')
        if any(isinstance(hook, TokenMapHook) for hook in runner.hooks):
            raise ValueError('TokenMapHook records nothing of a compiled backbone: take it or '
                             'CompileBackboneHook out of custom_hooks')
        model.backbone.compile(mode=self.mode)

    def before_train_epoch(self, runner: Runner) -> None:
        """Compile anew for other keep ratios, by a warm-up.

        Else the numbers of tokens would become symbolic, and break the graph.
        """
        ratios = [module.token_keep_ratio for module in runner.model.modules()
                  if isinstance(module, TokenReducer)]
        if ratios != self._ratios:
            torch.compiler.reset()
            self._ratios = ratios

    def _before_iter(self, *_: Any, **__: Any) -> None:
        # the outputs of the last replay may be overwritten
        torch.compiler.cudagraph_mark_step_begin()

    before_train_iter = before_val_iter = before_test_iter = _before_iter

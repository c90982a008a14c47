"""Warm-up of the token keep ratio."""
from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..models import TokenReducer


@HOOKS.register_module()
class TokenKeepRatioWarmupHook(Hook):
    """Lower the token keep ratio linearly from 1.0 to the neck's own value.

    The ratio is set before each training epoch and depends on the epoch only, so that a resumed
    run continues where it was. Validation uses the ratio of its epoch.

    Args:
        end (int): First epoch, from 0, with the neck's own ratio; above ``begin``.
        begin (int): Last epoch, from 0, with ratio 1.0. Defaults to 0.

    Raises:
        ValueError: If not ``0 <= begin < end``, or the model has no token reducer, or one
            whose counts do not follow a ratio.
    """

    def __init__(self, end: int, begin: int = 0) -> None:
        if not 0 <= begin < end:
            raise ValueError(f'the warm-up needs 0 <= begin < end epochs, but got begin={begin} '
                             f'and end={end}')
        self.begin = begin
        self.end = end
        self.targets: dict[TokenReducer, float] = {}

    def before_train(self, runner: Runner) -> None:
        """Remember each reducer's own ratio."""
        reducers = [module for module in runner.model.modules()
                    if isinstance(module, TokenReducer)]
        if not reducers:
            raise ValueError('TokenKeepRatioWarmupHook found no token reducer in the model: set '
                             'model.backbone.neck, or take the hook out of custom_hooks')
        for module in reducers:
            if module.token_keep_ratio is None:
                raise ValueError(f'the {type(module).__name__} of this model has no '
                                 'token_keep_ratio to warm up: set it, or take '
                                 'TokenKeepRatioWarmupHook out of custom_hooks')
            self.targets[module] = module.token_keep_ratio
        # a resumed run may begin with the validation of the epoch that was trained last
        self._set_ratios(runner.epoch - 1)

    def before_train_epoch(self, runner: Runner) -> None:
        """Set the ratio of the epoch."""
        self._set_ratios(runner.epoch)

    def _set_ratios(self, epoch: int) -> None:
        progress = (epoch - self.begin) / (self.end - self.begin)
        progress = min(max(progress, 0.), 1.)
        for reducer, target in self.targets.items():
            reducer.token_keep_ratio = 1. - (1. - target) * progress

"""Training schedules of token reducers: warm-up of the keep ratio, search of DiffRate's counts."""
from typing import Any

from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn
from torch.utils.hooks import RemovableHandle

from ..models import DiffRateNeck, TokenReducer
from ..models.necks.diffrate_neck import cost_ratio
from .checks import unwrap


@HOOKS.register_module()
class TokenKeepRatioWarmupHook(Hook):
    """Lower the token keep ratio linearly from 1.0 to the neck's own value.

    Args:
        end (int): First epoch, from 0, with the neck's own ratio; above ``begin``.
        begin (int): Last epoch, from 0, with ratio 1.0. Defaults to 0.
    """

    def __init__(self, end: int, begin: int = 0) -> None:
        if not 0 <= begin < end:
            raise ValueError(f'the warm-up needs 0 <= begin < end epochs, but got begin={begin} '
                             f'and end={end}')
        self.begin, self.end = begin, end
        self.targets: dict[TokenReducer, float] = {}

    def before_train(self, runner: Runner) -> None:
        """Remember each reducer's own ratio."""
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise ValueError('TokenKeepRatioWarmupHook counts epochs, but the training has a '
                             f'{type(runner.train_loop).__name__}: set train_cfg.type='
                             "'EpochBasedTrainLoop', or take the hook out of custom_hooks")
        if self.end >= runner.max_epochs:
            runner.logger.warning(
                f'The token keep ratio reaches its own value in epoch {self.end}, from 0, but the '
                f'training ends after epoch {runner.max_epochs - 1}: it never trains with the '
                'ratio that it is tested with. Lower the end of TokenKeepRatioWarmupHook.')
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
        progress = min(max((epoch - self.begin) / (self.end - self.begin), 0.), 1.)
        for reducer, target in self.targets.items():
            reducer.token_keep_ratio = 1. - (1. - target) * progress


@HOOKS.register_module()
class DiffRateHook(Hook):
    """Add the cost of the network to the loss while DiffRate learns its counts, then fix them.

    ``loss_flops = loss_weight * (cost_ratio - target_ratio) ** 2`` joins the losses and the log,
    with the cost as a share of the plain backbone's multiply-adds (DiffRate, section 3). The
    counts need a larger learning rate, 0.01 in the paper: ``paramwise_cfg.custom_keys``.

    Args:
        target_ratio (float): Target share of the plain backbone's multiply-adds, in (0, 1].
        loss_weight (float): Positive. The paper's 5 per squared GFLOP comes to about
            100 for its ViT-S. Defaults to 100.
        search_epochs (int, optional): Epochs that learn the counts, from the first, at
            least 1. Later ones train with tokens actually removed. Defaults to None, all.
    """

    # from before_train on
    backbone: nn.Module
    neck: DiffRateNeck
    handle: RemovableHandle

    def __init__(self, target_ratio: float, loss_weight: float = 100.,
                 search_epochs: int | None = None) -> None:
        if not 0 < target_ratio <= 1:
            raise ValueError(f'target_ratio must be in (0, 1], but got {target_ratio}')
        if not loss_weight > 0:
            raise ValueError(f'loss_weight must be above 0, but got {loss_weight}')
        if search_epochs is not None and search_epochs < 1:
            raise ValueError(f'search_epochs must be at least 1, but got {search_epochs}')
        self.target_ratio = target_ratio
        self.loss_weight = loss_weight
        self.search_epochs = search_epochs

    def before_train(self, runner: Runner) -> None:
        """Find the neck and add the cost to the losses that the model returns."""
        model = unwrap(runner.model)
        self.backbone = model.backbone
        neck = getattr(self.backbone, 'neck', None)
        if not isinstance(neck, DiffRateNeck):
            raise ValueError('DiffRateHook needs a DiffRateNeck in model.backbone.neck, but got '
                             f'{type(neck).__name__}: set it, or remove the hook from custom_hooks')
        self.neck = neck
        # a forward hook runs inside the distributed wrapper, whose reducer must see the loss
        self.handle = model.register_forward_hook(self._add_loss, with_kwargs=True)

    def before_train_epoch(self, runner: Runner) -> None:
        """End the search when its epochs are over."""
        if self.search_epochs is not None and runner.epoch >= self.search_epochs:
            self._fix()

    def after_train(self, runner: Runner) -> None:
        """Fix the counts and stop adding the cost."""
        self.handle.remove()
        self._fix()

    def _add_loss(self, model: nn.Module, args: tuple, kwargs: dict, output: Any) -> Any:
        if kwargs.get('mode') != 'loss':
            return output
        cost = cost_ratio(self.backbone)
        loss = self.loss_weight * (cost - self.target_ratio)**2
        return dict(output, loss_flops=loss, cost_ratio=cost.detach())

    def _fix(self) -> None:
        if self.neck.is_fixed:
            return
        self.neck.fix_counts()
        print_log(f'DiffRate: tokens after pruning and merging of each block {self.neck.counts}, '
                  f'cost {cost_ratio(self.backbone):.4f} of the plain backbone '
                  f'(target {self.target_ratio})', logger='current')

"""Stop training on a non-finite loss."""
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from mmaction.registry import HOOKS
from mmaction.structures import ActionDataSample
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..utils.files import atomic_file


@HOOKS.register_module()
class CheckInvalidLossHook(Hook):
    """Stop at the first loss that is NaN or infinite, and save the batch.

    Same as MMDetection's hook of that name, but at every iteration, so that no checkpoint has the
    spoilt weights. ``<work_dir>/invalid_loss_iter_<step>.pth`` (``..._rank_<rank>.pth`` in
    distributed training) holds ``inputs``, ``labels`` and ``clip_ids`` of the batch, the
    ``previous_clip_ids``, ``losses``, and ``epoch`` and ``iter`` from 1.
    """

    def __init__(self) -> None:
        self.clip_ids: list[str] = []

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict,
                         outputs: dict) -> None:
        """Raise ``FloatingPointError`` if the loss is not finite."""
        # mmengine reads each loss for its log anyway: this adds no synchronisation
        samples = list(_flatten(data_batch['data_samples']))
        previous, self.clip_ids = self.clip_ids, [
            str(sample.get('clip_id', sample.get('filename', 'without clip_id')))
            for sample in samples]
        if math.isfinite(outputs['loss'].item()):
            return
        losses = {key: value.item() for key, value in outputs.items()}
        step = runner.iter + 1
        rank = f'_rank_{get_rank()}' if runner.distributed else ''
        path = Path(runner.work_dir) / f'invalid_loss_iter_{step}{rank}.pth'
        content = dict(
            inputs=data_batch['inputs'],
            labels=[sample.gt_label for sample in samples if 'gt_label' in sample],
            clip_ids=self.clip_ids, previous_clip_ids=previous, losses=losses,
            epoch=runner.epoch + 1, iter=step)
        raise FloatingPointError(
            f'the loss is {losses["loss"]} at step {step} (epoch {runner.epoch + 1}) with the '
            f'clips {", ".join(self.clip_ids)}; {_save(content, path)}. If these clips are in '
            f'order, gradients may have overflowed at the step before (clips '
            f'{", ".join(previous) or "unknown"}): lower optim_wrapper.optimizer.lr, or limit '
            'optim_wrapper.clip_grad. The checkpoints are older: continue with --resume')


def _flatten(samples: Iterable) -> Iterator[ActionDataSample]:
    """Samples of a batch; repeated augmentation nests them."""
    for sample in samples:
        if isinstance(sample, (list, tuple)):
            yield from _flatten(sample)
        else:
            yield sample


def _save(content: dict, path: Path) -> str:
    """Save, and say what came of it: a full disk must not hide the loss."""
    try:
        with atomic_file(path) as partial:
            torch.save(content, partial)
    except (OSError, RuntimeError) as error:  # torch's zip writer has no OSError of its own
        return f'the batch could not be saved to {path} ({error})'
    return f'the batch is saved in {path}'

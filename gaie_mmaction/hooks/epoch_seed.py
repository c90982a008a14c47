"""Random numbers that a resumed training draws as an uninterrupted one."""
from collections.abc import Callable
from functools import partial

from mmaction.registry import HOOKS
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner, set_random_seed


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed augmentation and dropout anew at the start of each epoch, by the run's seed and epoch.

    A training that is killed and resumed from the end of an epoch then gives the same weights, as
    far as the device computes alike. The workers of the loader start anew with each epoch, so it
    needs ``train_dataloader.persistent_workers=False``.
    """

    def before_train(self, runner: Runner) -> None:
        """Raise ``ValueError`` where workers would keep their random numbers over epochs."""
        if runner.train_dataloader.persistent_workers:
            raise ValueError('EpochSeedHook needs train_dataloader.persistent_workers=False')
        self._init_worker: Callable | None = None

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed this process now, and the workers when they start."""
        # far apart, as workers and processes add their number
        seed = (runner.seed + 1_000_003 * (runner.epoch + 1) + 1009 * get_rank()) % 2**31
        set_random_seed(seed)
        loader = runner.train_dataloader
        # what mmengine and PreemptionHook put there comes first
        self._init_worker = self._init_worker or loader.worker_init_fn
        loader.worker_init_fn = partial(_seed_worker, self._init_worker, seed)


def _seed_worker(init: Callable | None, seed: int, worker_id: int) -> None:
    if init is not None:
        init(worker_id)
    set_random_seed(seed + 1 + worker_id)

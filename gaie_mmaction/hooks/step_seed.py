"""Random numbers that a resumed training draws as an uninterrupted one."""
from collections.abc import Callable
from functools import partial

import numpy as np
from mmaction.registry import HOOKS
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner, set_random_seed


@HOOKS.register_module()
class StepSeedHook(Hook):
    """Seed this process at each training step, and the loader's workers at each epoch.

    What the model draws (masks, drop path, dropout) depends on the run's seed, the step and the
    process alone: it is the same with any number of loader workers and after ``--resume``.
    Augmentation depends on seed and epoch: it is the same after ``--resume`` from the end of an
    epoch. For that, workers must start anew with each epoch, so the hook needs
    ``train_dataloader.persistent_workers=False``.
    """

    def before_train(self, runner: Runner) -> None:
        """Raise ``ValueError`` where workers would keep their random numbers over epochs."""
        if runner.train_dataloader.persistent_workers:
            raise ValueError('StepSeedHook needs train_dataloader.persistent_workers=False')
        self._init_worker: Callable | None = None

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed the workers when they start; without workers, the first batch is drawn here."""
        # far apart, as workers and processes add their number
        seed = (runner.seed + 1_000_003 * (runner.epoch + 1) + 1009 * get_rank()) % 2**31
        set_random_seed(seed)
        loader = runner.train_dataloader
        # what mmengine and PreemptionHook put there comes first
        self._init_worker = self._init_worker or loader.worker_init_fn
        loader.worker_init_fn = partial(_seed_worker, self._init_worker, seed)

    def before_train_iter(self, runner: Runner, batch_idx: int,
                          data_batch: dict | None = None) -> None:
        """Seed this process and its devices."""
        sequence = np.random.SeedSequence((runner.seed, runner.iter, get_rank()))
        set_random_seed(int(sequence.generate_state(1)[0]))


def _seed_worker(init: Callable | None, seed: int, worker_id: int) -> None:
    if init is not None:
        init(worker_id)
    set_random_seed(seed + 1 + worker_id)

"""Save and exit on SIGTERM; resume mid-epoch."""
import functools
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import torch
from mmaction.registry import HOOKS
from mmengine.dist import all_reduce, barrier, is_main_process
from mmengine.hooks import EMAHook, Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import BatchSampler

from .checkpoint import point_to_checkpoint

CHECKPOINT = 'preempted.pth'
EXIT_CODE = 128 + signal.SIGTERM  # 143, as shells count


@HOOKS.register_module()
class PreemptionHook(Hook):
    """On SIGTERM save ``<work_dir>/preempted.pth`` after the iteration, and exit with 143.

    Where gradients are accumulated, after the last iteration of the optimizer's step.
    ``--resume`` continues with the next batch: mmengine's epoch loop would restart the epoch and
    count its iterations twice, so finished batches are skipped without being read. An interrupted
    validation is repeated first. In distributed training a signal to one process counts for all;
    where a validation has unequal numbers of batches (a sampler without ``round_up``), it waits
    for the next training iteration.

    Workers of the data loaders ignore the SIGTERM that schedulers send to every process. This
    needs ``sigwaitinfo``: on Windows and macOS only a SIGTERM to the main process alone is handled.
    """

    priority = 'LOWEST'  # after parameters, averages and schedulers have made their step

    def __init__(self) -> None:
        self.signalled = False
        self.handler: Callable | int | None = None  # the previous one
        self.meta: dict = {}
        self.num_skipped = 0

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember how far the epoch was."""
        self.meta = checkpoint.get('meta', {})

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the seed of the order, which is a random one unless ``randomness`` sets it."""
        checkpoint['meta']['sampler_seed'] = getattr(
            runner.train_dataloader.batch_sampler.sampler, 'seed', None)

    def before_train(self, runner: Runner) -> None:
        """Listen, and skip the batches of the epoch that are done."""
        if threading.current_thread() is threading.main_thread():  # nobody else may
            self.handler = signal.signal(
                signal.SIGTERM, lambda *_: setattr(self, 'signalled', True))
        loaders = [runner.train_dataloader]
        if runner.val_loop is not None:
            loaders.append(runner.val_dataloader)
        if hasattr(signal, 'sigwaitinfo'):
            for loader in loaders:
                loader.worker_init_fn = functools.partial(_outlive_sigterm, loader.worker_init_fn)
        if self.meta.get('iter') != runner.iter:  # nothing or weights alone were loaded
            return
        if self.meta.get('sampler_seed') is not None:
            # mmengine has built the sampler before it read the checkpoint
            runner.train_dataloader.batch_sampler.sampler.seed = self.meta['sampler_seed']
        if self.meta.get('in_validation') and runner.val_loop is not None:
            runner.logger.info('repeating the interrupted validation')
            runner.val_loop.run()
        done = self.meta.get('batches_done', 0)
        if not done:
            return
        loader = runner.train_dataloader
        if self.meta['batches_per_epoch'] != len(loader):
            runner.logger.warning(
                f'The checkpoint is of batch {done} of {self.meta["batches_per_epoch"]} of an '
                f'epoch, which has {len(loader)} batches now: the epoch starts again.')
            return
        runner.logger.info(f'continuing after batch {done} of {len(loader)} of epoch '
                           f'{runner.epoch + 1}')
        self.num_skipped = done
        # DataLoader forbids a plain assignment, since it would not reach running workers
        object.__setattr__(loader, 'batch_sampler', _RestOfEpoch(loader.batch_sampler, done))

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Save and exit with code 143, if a process was asked to."""
        if _is_accumulating(runner) or not self._asked(runner):
            return
        meta = dict(epoch=runner.epoch, iter=runner.iter + 1)
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            meta.update(batches_done=self.num_skipped + batch_idx + 1,
                        batches_per_epoch=len(runner.train_dataloader))
        _save_and_leave(runner, meta)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                       outputs: Sequence | None = None) -> None:
        """The same; training's state is that after its last iteration."""
        if runner.distributed and not getattr(runner.val_dataloader.sampler, 'round_up', False):
            return  # a process without further batches would not take part in the all_reduce
        if _is_accumulating(runner) or not self._asked(runner):
            return
        for hook in runner.hooks:
            if isinstance(hook, EMAHook):  # the model holds the averaged weights now
                hook.after_val_epoch(runner)
        _save_and_leave(runner, dict(epoch=runner.epoch, iter=runner.iter, in_validation=True))

    def after_train_epoch(self, runner: Runner) -> None:
        """The next epoch is a complete one."""
        self.num_skipped = 0

    def after_train(self, runner: Runner) -> None:
        """Stop listening."""
        if self.handler is not None:
            signal.signal(signal.SIGTERM, self.handler)

    def _asked(self, runner: Runner) -> bool:
        if not runner.distributed:
            return self.signalled
        # all must leave after the same iteration, as the next one needs every process
        flag = torch.tensor(int(self.signalled))
        all_reduce(flag, op='max')
        return bool(flag)


def _is_accumulating(runner: Runner) -> bool:
    """Whether there are gradients of an unfinished step, which no checkpoint holds."""
    wrapper = runner.optim_wrapper
    wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
    return not all(one.should_update() for one in wrappers)


def _save_and_leave(runner: Runner, meta: dict) -> None:
    runner.save_checkpoint(runner.work_dir, CHECKPOINT, by_epoch=False, meta=meta)
    path = Path(runner.work_dir) / CHECKPOINT
    if is_main_process():
        point_to_checkpoint(runner, str(path))
    runner.logger.warning(f'SIGTERM: step {meta["iter"]} is saved in {path}; continue '
                          'with --resume')
    barrier()  # launchers kill all processes once one has exited
    raise SystemExit(EXIT_CODE)


class _RestOfEpoch:
    """Batches of indices, the first time without those that are done."""

    def __init__(self, batches: BatchSampler, num_done: int) -> None:
        self.batches = batches
        self.sampler = batches.sampler  # DistSamplerSeedHook sets its epoch
        self.num_done = num_done

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator:
        # not before the first batch is asked for: with workers, DataLoader makes one iterator
        # that it never uses
        num_done, self.num_done = self.num_done, 0
        yield from islice(self.batches, num_done, None)


def _outlive_sigterm(init: Callable | None, worker_id: int) -> None:
    """Let a worker obey only its parent's SIGTERM, by which multiprocessing ends it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    threading.Thread(target=_leave_when_asked_by, args=(os.getppid(), ), daemon=True).start()
    if init is not None:
        init(worker_id)


def _leave_when_asked_by(parent: int) -> None:
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != parent:
        pass
    os._exit(0)  # as DataLoader's own handler does: any other code is a failed worker to it

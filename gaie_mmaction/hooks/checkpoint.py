"""Checkpoints in an order that survives a kill at any moment."""
from contextlib import ExitStack
from pathlib import Path

from mmaction.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from ..utils.files import locked_folder, remove_partial_files, write_text

# seconds; workers of a killed run check every 5 whether they are still needed
LOCK_TIMEOUT = 30


def point_to_checkpoint(runner: Runner, path: str) -> None:
    """Name the checkpoint that ``--resume`` takes."""
    write_text(Path(runner.work_dir) / 'last_checkpoint', path, durable=True)


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """Write the new checkpoint, point ``last_checkpoint`` to it, then delete the outdated one.

    mmengine deletes first, so that with ``max_keep_ckpts=1`` nothing is left after a kill or on a
    full disk. Same arguments as ``CheckpointHook``.
    """

    def before_train(self, runner: Runner) -> None:
        """Lock the work folder, and delete what killed runs left there."""
        super().before_train(runner)
        if is_main_process():
            self._lock = ExitStack()
            self._lock.enter_context(locked_folder(Path(runner.work_dir), LOCK_TIMEOUT))
            if isinstance(self.file_backend, LocalBackend):
                remove_partial_files(Path(self.out_dir))

    def after_train(self, runner: Runner) -> None:
        """Release the work folder."""
        super().after_train(runner)
        if is_main_process():
            self._lock.close()

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        outdated = None
        if self.max_keep_ckpts > 0 and (not self.keep_ckpt_ids or self.keep_ckpt_ids[-1] != step):
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                outdated = self._path(self.keep_ckpt_ids.popleft())
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        self.last_ckpt = self._path(step)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir, self.filename_tmpl.format(step), self.file_client_args,
            save_optimizer=self.save_optimizer, save_param_scheduler=self.save_param_scheduler,
            meta=meta, by_epoch=self.by_epoch, backend_args=self.backend_args, **self.args)
        if not is_main_process():
            return
        point_to_checkpoint(runner, self.last_ckpt)
        if outdated is not None and self.file_backend.isfile(outdated):
            self.file_backend.remove(outdated)
        elif outdated is not None and self.file_backend.isdir(outdated):
            self.file_backend.rmtree(outdated)  # of a sharded checkpoint

    def _path(self, step: int) -> str:
        return self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step))

"""The page of a training while it runs."""
from pathlib import Path

from mmaction.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner


@HOOKS.register_module()
class TrainingPageHook(Hook):
    """Write ``<work_dir>/training.html`` after each validation and at the end of the training.

    The page is that of ``tools/visualize/training.py``: all numbers that mmengine has logged to
    ``scalars.json`` since the first start. The main process writes it. A page that cannot be
    written is a warning, and the training goes on.
    """

    priority = 'LOWEST'  # after LoggerHook has logged the validation

    def __init__(self) -> None:
        self.in_training = False  # a validation may also be run on its own

    def before_train(self, runner: Runner) -> None:
        """From now on validations belong to a training."""
        self.in_training = True

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Write the page."""
        if self.in_training:
            self._write(runner)

    def after_train(self, runner: Runner) -> None:
        """Write the page with the last iterations."""
        self.in_training = False
        self._write(runner)

    def _write(self, runner: Runner) -> None:
        if not is_main_process():
            return
        from ..report import read_runs, write_training_page  # imports pandas: not for every run
        path = Path(runner.work_dir, 'training.html')
        try:
            write_training_page(read_runs([runner.work_dir]), path)
        except (OSError, ValueError) as error:
            runner.logger.warning(f'{path} was not written: {error}')

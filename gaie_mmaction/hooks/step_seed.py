"""Random draws that depend on the step alone."""
import numpy as np
import torch
from mmaction.registry import HOOKS
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner


@HOOKS.register_module()
class StepSeedHook(Hook):
    """Seed PyTorch before each training step by the run's seed, the step and the process.

    What the model draws (masks, drop path, dropout) is then the same with any number of loader
    workers, whose start takes from the same stream, and after ``--resume``, which would begin that
    stream anew. What the workers draw (crops, mirroring) is not affected.
    """

    def before_train_iter(self, runner: Runner, batch_idx: int,
                          data_batch: dict | None = None) -> None:
        """Seed all devices."""
        sequence = np.random.SeedSequence((runner.seed, runner.iter, get_rank()))
        torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]))

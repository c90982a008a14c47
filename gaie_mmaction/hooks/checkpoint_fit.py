"""No test with weights that were not in the checkpoint."""
from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner

from ..models.utils.weights import list_misfits

HEAD = 'cls_head.'
NUM_SHOWN = 4


@HOOKS.register_module()
class CheckpointFitHook(Hook):
    """Refuse to test with a checkpoint of another model.

    mmengine loads what fits, warns of the rest, and tests with that part at random: a
    leaderboard file of chance. A training may start from part of a checkpoint, as
    finetuning does, and is left alone.
    """

    priority = 'LOWEST'  # EMAHook puts the averaged weights in place before

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare names and shapes, before the weights are put in.

        Raises:
            ValueError: If anything is missing, left over or of another shape.
        """
        if isinstance(runner.optim_wrapper, (OptimWrapper, OptimWrapperDict)):
            return  # a training: in a test it is still a config
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        weights = {key.removeprefix('module.'): value
                   for key, value in checkpoint.get('state_dict', checkpoint).items()}
        own = model.state_dict()
        if not any(key.startswith(HEAD) for key in own):  # MMAction2's FeatureHead, for features
            weights = {key: value for key, value in weights.items() if not key.startswith(HEAD)}
        misfits = list_misfits(own, weights)
        if misfits:
            more = len(misfits) - NUM_SHOWN
            raise ValueError(
                'the checkpoint does not fit the config, and nothing was tested:\n  '
                + '\n  '.join(misfits[:NUM_SHOWN]) + (f'\n  and {more} more' if more > 0 else '')
                + '\ngive the config that it was trained with')

"""Token maps during training."""
from collections.abc import Sequence
from contextlib import AbstractContextManager

from mmaction.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..models import TokenReducer
from ..models.necks import TokenState
from .checks import unwrap


@HOOKS.register_module()
class TokenMapHook(Hook):
    """Send token maps of the first validation clips to the visualizer's backends.

    The pictures are those of ``tools/visualize/token_map.py``, recorded during the validation in
    the main process.

    Args:
        num_clips (int): Clips to draw, at least 1. Defaults to 4.
        interval (int): Draw in every ``interval``-th epoch, at least 1. Defaults to 1.
    """

    def __init__(self, num_clips: int = 4, interval: int = 1) -> None:
        if num_clips < 1 or interval < 1:
            raise ValueError('num_clips and interval must be at least 1, but got '
                             f'{num_clips} and {interval}')
        self.num_clips = num_clips
        self.interval = interval
        self._drawn = 0
        self._recording: AbstractContextManager[list[TokenState]] | None = None
        self._history: list[TokenState] = []

    def before_run(self, runner: Runner) -> None:
        """Refuse a model without a token reducer."""
        if not any(isinstance(module, TokenReducer) for module in runner.model.modules()):
            raise ValueError('TokenMapHook found no token reducer in the model: set '
                             'model.backbone.neck, or take the hook out of custom_hooks')
        if not unwrap(runner.model).backbone.merge_layers:
            raise ValueError('TokenMapHook has nothing to draw: model.backbone.merge_layers is '
                             'empty')

    def before_val_epoch(self, runner: Runner) -> None:
        """Start with the first clip."""
        # the epochs that are finished, also while the last of them is validated
        wanted = is_main_process() and runner.epoch % self.interval == 0
        self._drawn = 0 if wanted else self.num_clips

    def before_val_iter(self, runner: Runner, batch_idx: int,
                        data_batch: dict | None = None) -> None:
        """Record the batch, if clips of it are to be drawn."""
        if self._drawn < self.num_clips:
            from ..visualization import record_tokens  # imports matplotlib: not for every training
            self._recording = record_tokens(runner.model)
            self._history = self._recording.__enter__()

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: dict,
                       outputs: Sequence) -> None:
        """Draw clips of the batch."""
        if self._recording is None:
            return
        from ..visualization import TokenMap, draw_token_map, figure_to_image
        from ..visualization.token_map import describe_prediction
        self._recording.__exit__(None, None, None)
        self._recording = None
        history, backbone = self._history, unwrap(runner.model).backbone
        names = runner.visualizer.dataset_meta.get('classes')
        place = 0  # of the clip's first view in the model's batch
        views = data_batch['inputs']
        views = views['imgs'] if isinstance(views, dict) else views  # beside skeletons
        for inputs, sample in zip(views, outputs):
            if self._drawn == self.num_clips or place >= len(history[0].x):
                return
            frames = inputs[0].permute(1, 2, 3, 0).cpu().numpy()  # (T, H, W, 3)
            tokens = TokenMap.from_history(history, backbone.token_grid(inputs), place)
            name = str(sample.get('clip_id', self._drawn))
            scores = sample.pred_score.float().cpu().numpy()
            title = f'{name}, epoch {runner.epoch}: ' + describe_prediction(
                scores, int(sample.gt_label), names or list(map(str, range(len(scores)))))
            figure = draw_token_map(frames[::backbone.tubelet_size], tokens, title,
                                    sorted(backbone.merge_layers))
            runner.visualizer.add_image(f'tokens_{name}', figure_to_image(figure),
                                        step=runner.epoch)
            self._drawn += 1
            place += len(inputs)

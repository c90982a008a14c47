"""A token reducer that a config names is in the model."""
from mmaction.registry import HOOKS, MODELS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..models import TokenReducer


@HOOKS.register_module()
class TokenReducerCheckHook(Hook):
    """Refuse a backbone that ignores its ``neck``.

    MMAction2's ``VisionTransformer`` takes any argument without a word, so that a config with
    ``neck=dict(type='GAIENeck')`` in it would train and test the plain network.
    """

    def before_run(self, runner: Runner) -> None:
        """Look for the reducer of ``model.backbone.neck``.

        Raises:
            ValueError: If the model has none.
        """
        backbone = runner.cfg.get('model', {}).get('backbone') or {}
        neck = backbone.get('neck') or {}
        kind = MODELS.get(neck['type']) if isinstance(neck.get('type'), str) else neck.get('type')
        if not (isinstance(kind, type) and issubclass(kind, TokenReducer)):
            return
        if not any(isinstance(module, TokenReducer) for module in runner.model.modules()):
            raise ValueError(f'the config names the token reducer {neck["type"]}, but the backbone '
                             f'{backbone["type"]} ignores it: set model.backbone.type='
                             "'GAIEVisionTransformer'")

"""Second stage of decoupled training: the classifier alone, on balanced classes."""
from mmaction.registry import HOOKS
from mmengine.dist import broadcast
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from ..models.utils.weights import describe_misfits
from .checks import HEAD, unwrap

BACKBONE = 'backbone.'


@HOOKS.register_module()
class ClassifierRetraining(Hook):
    """Train a new head on the frozen backbone of ``load_from`` (cRT).

    "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR 2020,
    arXiv 1910.09217, section 4.1: everything but the head keeps its weights and statistics, in
    evaluation mode; the head is initialized anew. Combine it with a
    :class:`~gaie_mmaction.datasets.ClassBalancedSampler`. On several GPUs the config needs
    ``find_unused_parameters=True``.
    """

    def before_run(self, runner: Runner) -> None:
        """Freeze."""
        model = unwrap(runner.model)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.startswith(HEAD))
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise ValueError('ClassifierRetraining found no cls_head in the model '
                             f'{type(model).__name__}: it is for recognizers')

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse a checkpoint without this backbone: mmengine would only warn."""
        found, own = ({key: value for key, value in weights.items() if key.startswith(BACKBONE)}
                      for weights in (checkpoint.get('state_dict', checkpoint),
                                      unwrap(runner.model).state_dict()))
        if misfits := describe_misfits(own, found):
            raise ValueError(f'the backbone of load_from does not fit the config:{misfits}')

    def before_train(self, runner: Runner) -> None:
        """Initialize the head anew, unless an interrupted run goes on."""
        if runner.iter:
            return
        if not runner.cfg.get('load_from'):
            raise ValueError('ClassifierRetraining needs the trained network: give its checkpoint '
                             'by --cfg-options load_from=CHECKPOINT')
        head = unwrap(runner.model).cls_head
        for module in head.modules():
            # layers that init_weights leaves alone, such as norms
            if hasattr(module, 'reset_parameters'):
                module.reset_parameters()
            if hasattr(module, 'is_init'):
                module.is_init = False  # it initializes once only
        head.init_weights()
        for value in head.state_dict().values():
            broadcast(value)  # processes may have seeds of their own
        print_log('the head starts anew, the rest is frozen', logger='current')

    def before_train_iter(self, runner: Runner, batch_idx: int,
                          data_batch: dict | None = None) -> None:
        """No dropout and no new statistics in the frozen part."""
        model = unwrap(runner.model)  # the loop has set everything to training mode
        for name, module in model.named_children():
            if not f'{name}.'.startswith(HEAD):
                module.eval()

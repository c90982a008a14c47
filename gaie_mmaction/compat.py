"""Workarounds for upstream bugs, one function each, and the only version checks.

Each names its upstream issue, if there is one. Changes by choice are in :mod:`.policy`.
"""
import functools
import importlib
import importlib.machinery
import importlib.util
import pickle
import sys
import types
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from math import prod
from typing import Any

MMCV_PACKAGES = ('mmcv', 'mmcv-lite', 'onedl-mmcv')  # all of them install the module mmcv
MMCV_MINIMUM, MMCV_BELOW = '2.0.0', '3.0.0'
MMCV_REFUSED = '2.2.0'  # by MMAction2 1.2.0, from here on

_MMCV_HELP = (
    'Install exactly one of these:\n'
    '  pip install "mmcv-lite>=2.0.0,<2.2.0"   # no compiled operators: enough here, installs in '
    'seconds\n'
    '  pip install "mmcv>=2.0.0,<3"            # compiled operators: compiles for many minutes '
    'where there is no wheel for your PyTorch\n'
    '  pip install "onedl-mmcv>=2.3,<3"        # its successor, for newer PyTorch')


def wrap(owner: Any, name: str) -> Callable[[Callable], None]:
    """Decorator that replaces ``owner.name``, once, by a function that gets the original first."""
    original = vars(owner)[name]
    function = original.__func__ if isinstance(original, staticmethod) else original

    def replace(wrapper: Callable) -> None:

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return wrapper(function, *args, **kwargs)

        if not hasattr(function, '__wrapped__'):
            static = isinstance(original, staticmethod)
            setattr(owner, name, staticmethod(wrapped) if static else wrapped)

    return replace


def _installed_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def require_mmcv() -> None:
    """Check the package that provides ``mmcv``, which is the user's choice.

    MMAction2 1.2.0 does not declare it (https://github.com/open-mmlab/mmaction2/issues/2852), and
    the packages of :data:`MMCV_PACKAGES` overwrite each other's files. Delete when it does.
    """
    found = {name: _installed_version(name) for name in MMCV_PACKAGES}
    installed = {name: number for name, number in found.items() if number is not None}
    if len(installed) > 1:
        raise ImportError(
            f'{" and ".join(" ".join(item) for item in installed.items())} are installed together '
            'and overwrite each other\'s files. Remove them with '
            f'`pip uninstall -y {" ".join(installed)}`, then choose.\n{_MMCV_HELP}')
    if importlib.util.find_spec('mmcv') is None:
        raise ImportError(f'gaie_mmaction needs mmcv, and no package provides it.\n{_MMCV_HELP}')
    # here, and not at the top: mmengine is only sure to import once mmcv is settled
    from mmengine.utils import digit_version
    for name, number in installed.items():
        if not digit_version(MMCV_MINIMUM) <= digit_version(number) < digit_version(MMCV_BELOW):
            raise ImportError(f'{name} {number} is installed, but gaie_mmaction needs '
                              f'>={MMCV_MINIMUM},<{MMCV_BELOW}.\n{_MMCV_HELP}')


def accept_newer_mmcv() -> None:
    """Import MMAction2 beside mmcv 2.2 and newer, which it refuses by the version alone.

    MMAction2 1.2.0 asserts mmcv < 2.2.0 (https://github.com/open-mmlab/mmaction2/issues/2852), so
    it sees an older version while it is imported. Scripts that import it before this package
    still fail. Delete when MMAction2 takes mmcv 2.2.
    """
    import mmcv
    from mmengine.utils import digit_version
    number = mmcv.__version__
    if digit_version(number) < digit_version(MMCV_REFUSED) or 'mmaction' in sys.modules:
        return
    mmcv.__version__ = MMCV_MINIMUM
    try:
        importlib.import_module('mmaction')
    finally:
        mmcv.__version__ = number


def stub_missing_drn() -> None:
    """Stand in for ``mmaction.models.localizers.drn``, which the wheel of 1.2.0 lacks.

    Without it ``import mmaction.models`` fails
    (https://github.com/open-mmlab/mmaction2/issues/2714). Delete when a release has the folder.
    """
    spec = importlib.util.find_spec('mmaction')
    assert spec is not None and spec.submodule_search_locations is not None  # a package
    folder = spec.submodule_search_locations[0]
    name = 'mmaction.models.localizers.drn'
    if name in sys.modules or importlib.machinery.PathFinder.find_spec(
            'drn', [f'{folder}/models/localizers']) is not None:
        return

    class DRN:

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            raise ImportError('DRN is missing from this release of MMAction2 (upstream issue '
                              '2714): install MMAction2 from its sources to use it')

    package, module = types.ModuleType(name), types.ModuleType(f'{name}.drn')
    package.__dict__.update(__path__=[], drn=module)
    module.__dict__.update(DRN=DRN)
    sys.modules[name], sys.modules[f'{name}.drn'] = package, module


def leave_out_broken_vindlu() -> None:
    """Leave out MMAction2's VindLU where its own imports would fail.

    MMAction2 imports it beside any transformers >= 4.28, but it needs timm, einops and functions
    that transformers 5 has removed. No upstream issue is known. Delete when ``import
    mmaction.models`` works beside transformers 5.
    """
    from mmaction.utils import dependency
    if not dependency.WITH_MULTIMODAL or 'mmaction.models' in sys.modules:
        return
    try:
        import einops  # noqa: F401
        from timm.models.layers import DropPath  # noqa: F401
        from transformers.modeling_utils import (  # noqa: F401
            apply_chunking_to_forward,
            find_pruneable_heads_and_indices,
        )
        from transformers.models.beit.modeling_beit import BeitRelativePositionBias  # noqa: F401
    except (ImportError, RuntimeError):  # the latter from a torchvision that does not fit torch
        dependency.WITH_MULTIMODAL = False


def allow_checkpoint_classes() -> None:
    """Let ``torch.load(weights_only=True)`` read what mmengine itself writes.

    Its checkpoints hold ``HistoryBuffer`` and NumPy numbers
    (https://github.com/open-mmlab/mmengine/issues/1655). Their names lead to stand-ins that check
    their content, never to the classes themselves. Delete when mmengine reads them itself.
    """
    import numpy as np
    import torch
    from mmengine.logging import HistoryBuffer

    from .utils.safe_pickle import NUMPY, CheckedArray

    class CheckedHistory:
        """Becomes a ``HistoryBuffer`` of two arrays of numbers and a length."""

        def __init__(self, *arguments: Any) -> None:
            raise pickle.UnpicklingError('it calls HistoryBuffer')  # only its state fills it

        def __setstate__(self, state: dict) -> None:
            arrays: dict[str, Any] = {
                name: state.get(name) for name in ('_log_history', '_count_history')}
            length = state.get('max_length')
            if type(length) is not int or not all(
                    type(array) is CheckedArray and array.ndim == 1 and array.dtype.kind in 'biuf'
                    for array in arrays.values()):
                raise pickle.UnpicklingError('it holds a log buffer of something else than numbers')
            self.__class__ = HistoryBuffer
            # its own __setstate__ takes functions from the file, for the whole process
            self.__dict__ = {name: array.view(np.ndarray) for name, array in arrays.items()}
            self.__dict__['max_length'] = length
            HistoryBuffer._set_default_statistics(self)

    def statistic(owner: type, name: str) -> str:
        # mmengine pickles HistoryBuffer.mean and the like by getattr
        if owner is not CheckedHistory or name not in ('min', 'max', 'mean', 'current'):
            raise pickle.UnpicklingError(f'it calls getattr({owner!r:.80}, {name!r})')
        return name  # which the buffer knows by itself

    torch.serialization.add_safe_globals([
        (CheckedHistory, 'mmengine.logging.history_buffer.HistoryBuffer'),
        (statistic, 'builtins.getattr'),
        *((stand_in, '.'.join(name)) for name, stand_in in NUMPY.items())])


def _sdpa_macs(inputs: list, outputs: list) -> float:
    """Multiply-adds of ``softmax(q k^T) v``: ``2 * B * heads * M * N * d`` over 2 products."""
    from mmengine.analysis.jit_handles import get_shape
    query, key, value = (get_shape(tensor) for tensor in inputs[:3])
    return prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def count_fused_attention() -> None:
    """Teach mmengine's FLOP counter fused attention, which it skips with all unknown operators.

    https://github.com/open-mmlab/mmengine/issues/1556. Delete when
    ``aten::scaled_dot_product_attention`` is in mmengine's own table.
    """
    from mmengine.analysis import complexity_analysis
    # the public function, and the operators behind it, which ops/fused_attention.py calls
    for name in ('scaled_dot_product_attention', '_scaled_dot_product_flash_attention_for_cpu',
                 '_scaled_dot_product_flash_attention', '_scaled_dot_product_efficient_attention',
                 '_scaled_dot_product_cudnn_attention'):
        complexity_analysis._DEFAULT_SUPPORTED_FLOP_OPS.setdefault(f'aten::{name}', _sdpa_macs)


def accept_half_precision_scores() -> None:
    """Let heads compute loss and probabilities in float32 from the scores of half precision.

    MMAction2's ``BaseHead`` computes the training accuracy in NumPy, which has no bfloat16; on a
    CPU it leaves softmax and the mean over views in bfloat16, which ties classes, and dumps it.
    Autocast computes the loss in float32 anyway. No upstream issue is known. Delete when
    ``BaseHead.loss_by_feat`` takes bfloat16 scores and ``average_clip`` computes in float32.
    """
    import torch
    from mmaction.models.heads import BaseHead

    @wrap(BaseHead, 'loss_by_feat')
    def loss_by_feat(original: Callable, head: BaseHead, cls_scores: torch.Tensor,
                     data_samples: list) -> dict:
        if cls_scores.dtype == torch.bfloat16:
            cls_scores = cls_scores.float()
        return original(head, cls_scores, data_samples)

    @wrap(BaseHead, 'average_clip')
    def average_clip(original: Callable, head: BaseHead, cls_scores: torch.Tensor,
                     num_segs: int = 1) -> torch.Tensor:
        if cls_scores.dtype in (torch.float16, torch.bfloat16):
            cls_scores = cls_scores.float()
        return original(head, cls_scores, num_segs)


def start_processes_without_gpu() -> None:
    """Let ``--launcher`` start processes on a machine without GPU, over gloo.

    mmengine sets a CUDA device for each process, whatever the backend, and tells DDP that a model
    on the CPU has one. No upstream issue is known. Delete when it does neither without CUDA.
    """
    import torch
    from mmengine.device import get_device
    from mmengine.dist import utils
    from mmengine.model import MMDistributedDataParallel

    def init_dist(start: Callable, backend: str, *args: Any, **kwargs: Any) -> Any:
        if get_device() != 'cpu':
            return start(backend, *args, **kwargs)
        if backend == 'nccl':
            raise RuntimeError('no GPU is visible here, and the backend nccl needs one. For '
                               'processes on the CPU add --cfg-options '
                               'env_cfg.dist_cfg.backend=gloo')
        set_device, torch.cuda.set_device = torch.cuda.set_device, lambda device: None
        try:
            return start(backend, *args, **kwargs)
        finally:
            torch.cuda.set_device = set_device

    for name in ('_init_dist_pytorch', '_init_dist_slurm'):
        wrap(utils, name)(init_dist)

    @wrap(MMDistributedDataParallel, '__init__')
    def init_ddp(original: Callable, *args: Any, **kwargs: Any) -> None:
        if get_device() == 'cpu':
            kwargs.pop('device_ids', None)
        original(*args, **kwargs)


def allow_zero_workers() -> None:
    """Let ``num_workers=0`` win over a config's ``persistent_workers=True``, which torch refuses.

    Delete when mmengine drops the second one itself.
    """
    from mmengine.runner import Runner

    @wrap(Runner, 'build_dataloader')
    def build_dataloader(original: Callable, dataloader: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(dataloader, dict) and dataloader.get('num_workers') == 0:
            dataloader = {**dataloader, 'persistent_workers': False}
        return original(dataloader, *args, **kwargs)


def import_mmcv_quietly() -> None:
    """Import mmcv's transformer bricks without their warning about mmcv-lite.

    It is about operators that nothing here uses (https://github.com/open-mmlab/mmcv/issues/1975).
    Delete when mmcv warns at use instead.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings(
            'ignore', message='Fail to import ``MultiScaleDeformableAttention``')
        importlib.import_module('mmcv.cnn.bricks.transformer')


def apply() -> None:
    """Run every workaround; mmcv is settled before MMAction2 is looked at."""
    require_mmcv()
    import_mmcv_quietly()
    accept_newer_mmcv()
    stub_missing_drn()
    leave_out_broken_vindlu()
    allow_checkpoint_classes()
    start_processes_without_gpu()
    count_fused_attention()
    accept_half_precision_scores()
    allow_zero_workers()

"""Every workaround for a bug of the hosts, and nowhere else a version check.

Each function names the upstream issue and the condition under which it goes.
:func:`apply` runs them when :mod:`gaie_mmaction` is imported.
"""
import functools
import importlib
import importlib.machinery
import importlib.util
import pickle
import re
import sys
import types
import warnings
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Callable, Optional

MMCV_MINIMUM, MMCV_BELOW = '2.0.0', '2.2.0'

_MMCV_HELP = (
    'Install one of the two, never both:\n'
    '  pip install "mmcv-lite>=2.0.0,<2.2.0"   # the same import without compiled operators: '
    'enough here, installs in seconds\n'
    '  pip install "mmcv>=2.0.0,<2.2.0"        # with compiled operators: many minutes of '
    'compiling where there is no wheel for your PyTorch')


def _installed_version(package: str) -> Optional[str]:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def require_mmcv() -> None:
    """Check the one dependency that is the user's choice: ``mmcv`` or ``mmcv-lite``.

    MMAction2 1.2.0 asserts mmcv < 2.2.0 (https://github.com/open-mmlab/mmaction2/issues/2852)
    and both packages install the same files. Delete when MMAction2 declares
    its mmcv itself.

    Raises:
        ImportError: If none or both are installed, or the version is outside
            [2.0.0, 2.2.0).
    """
    found = {name: _installed_version(name) for name in ('mmcv', 'mmcv-lite')}
    installed = {name: number for name, number in found.items() if number is not None}
    if len(installed) == 2:
        raise ImportError(f'mmcv {installed["mmcv"]} and mmcv-lite {installed["mmcv-lite"]} are '
                          'both installed and overwrite each other\'s files. Remove both with '
                          f'`pip uninstall -y mmcv mmcv-lite`, then choose.\n{_MMCV_HELP}')
    if importlib.util.find_spec('mmcv') is None:
        raise ImportError(f'gaie_mmaction needs mmcv or mmcv-lite, and neither is '
                          f'installed.\n{_MMCV_HELP}')
    # here, and not at the top: mmengine is only sure to import once mmcv is settled
    from mmengine.utils import digit_version
    for name, number in installed.items():
        if not digit_version(MMCV_MINIMUM) <= digit_version(number) < digit_version(MMCV_BELOW):
            raise ImportError(f'{name} {number} is installed, but MMAction2 needs mmcv or '
                              f'mmcv-lite >={MMCV_MINIMUM},<{MMCV_BELOW}.\n{_MMCV_HELP}')


def stub_missing_drn() -> None:
    """Stand in for ``mmaction.models.localizers.drn``, which the wheel of 1.2.0 lacks.

    https://github.com/open-mmlab/mmaction2/issues/2714. Without it
    ``import mmaction.models`` fails. The stub is only put where the real module
    is missing; building a DRN then says what is the matter. Delete when a
    release of MMAction2 holds the folder.
    """
    spec = importlib.util.find_spec('mmaction')
    assert spec is not None and spec.submodule_search_locations is not None  # a package
    folder = spec.submodule_search_locations[0]
    name = 'mmaction.models.localizers.drn'
    if name in sys.modules or importlib.machinery.PathFinder.find_spec(
            'drn', [f'{folder}/models/localizers']) is not None:
        return

    class DRN:
        """Absent from this release of MMAction2."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            raise ImportError('DRN is missing from this release of MMAction2 (upstream issue '
                              '2714): install MMAction2 from its sources to use it')

    package, module = types.ModuleType(name), types.ModuleType(f'{name}.drn')
    package.__dict__.update(__path__=[], drn=module)
    module.__dict__.update(DRN=DRN)
    sys.modules[name], sys.modules[f'{name}.drn'] = package, module


def leave_out_broken_vindlu() -> None:
    """Leave out MMAction2's VindLU where what it imports from other packages is not there.

    It is imported wherever any transformers >= 4.28 is installed, and needs timm, einops and
    functions that transformers 5 has no more; without them ``import mmaction.models``
    fails. In its place stand MMAction2's placeholders, which say what is missing. No upstream
    issue is known. Delete when ``import mmaction.models`` works beside transformers 5.
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
    except (ImportError, RuntimeError):  # the latter of a torchvision that does not fit torch
        dependency.WITH_MULTIMODAL = False


def _history_buffer_method(owner: type, name: str) -> Callable:
    """The only attributes that a checkpoint may look up: mmengine pickles them by name."""
    from mmengine.logging import HistoryBuffer
    if owner is not HistoryBuffer or name not in ('min', 'max', 'mean', 'current'):
        raise pickle.UnpicklingError(f'getattr({owner!r}, {name!r}) is not allowed')
    return getattr(owner, name)


def allow_checkpoint_classes() -> None:
    """Let ``torch.load(weights_only=True)`` read what mmengine itself writes.

    PyTorch >= 2.6 reads only tensors and plain containers, while mmengine's
    checkpoints hold ``HistoryBuffer`` and NumPy numbers
    (https://github.com/open-mmlab/mmengine/issues/1655). Exactly these are
    allowed. Delete when mmengine reads its own checkpoints.
    """
    import numpy as np
    import torch
    from mmengine.logging import HistoryBuffer
    multiarray = importlib.import_module(
        'numpy.core.multiarray' if np.lib.NumpyVersion(np.__version__) < '2.0.0' else
        'numpy._core.multiarray')
    allowed: list = [HistoryBuffer, (_history_buffer_method, 'builtins.getattr')]
    allowed += [np.ndarray, np.dtype]
    allowed += [type(np.dtype(kind)) for kind in ('float64', 'float32', 'int64', 'bool')]
    for function in ('_reconstruct', 'scalar'):
        # NumPy 2 moved them: a checkpoint names the place of the NumPy that wrote it
        for module in ('numpy.core.multiarray', 'numpy._core.multiarray'):
            allowed.append((getattr(multiarray, function), f'{module}.{function}'))
    torch.serialization.add_safe_globals(allowed)


def load_checkpoint_safely(filename: str, map_location: Any = None) -> dict:
    """Load a checkpoint file without running anything that it may hold.

    Args:
        filename (str): Path of a local file.
        map_location: As in :func:`torch.load`. Defaults to None.

    Returns:
        dict: The checkpoint.

    Raises:
        FileNotFoundError: If there is no such file.
        RuntimeError: If the file is damaged or no checkpoint, or if it holds
            anything but tensors, plain containers and mmengine's own log buffers.
    """
    import os

    import torch
    path = os.path.expanduser(filename)
    if not os.path.isfile(path):
        raise FileNotFoundError(f'checkpoint {filename} does not exist')
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's own text advises to switch the check off, which is no way out
        with open(path, 'rb') as file:
            start = file.read(40)
        if not start.startswith((b'PK', b'\x80')):  # neither a zip nor a pickle
            raise RuntimeError(
                f'{filename} is no checkpoint: it begins with {start!r}. Perhaps a web page or '
                'the pointer of a large file was saved instead: download it again.') from error
        found = re.search(r'GLOBAL (\S+)', str(error))
        reason = f'it holds {found[1]}' if found else str(error).strip().splitlines()[-1]
        raise RuntimeError(
            f'checkpoint {filename} is refused and nothing of it was run: {reason}. Only tensors, '
            'plain containers and what mmengine writes are read. If the file comes from a source '
            'that you trust, load it there and save its state_dict alone.') from error
    except (EOFError, RuntimeError, ValueError, KeyError) as error:
        raise RuntimeError(f'checkpoint {filename} ({os.path.getsize(path)} bytes) cannot be '
                           f'read: {error}. It is damaged or incomplete: download or save it '
                           'again, or resume from an earlier one.') from error


def load_checkpoints_safely() -> None:
    """Make mmengine load local and downloaded checkpoints by :func:`load_checkpoint_safely`.

    mmengine calls ``torch.load`` without ``weights_only``, and for a URL a
    helper of torch whose default is ``weights_only=False``, which runs code
    from the file (https://github.com/open-mmlab/mmengine/issues/1655). Delete
    when mmengine passes ``weights_only=True`` in both places.
    """
    import os
    from urllib.error import URLError
    from urllib.parse import urlparse

    import torch
    from mmengine.dist import get_dist_info
    from mmengine.runner import checkpoint

    def load_from_local(filename: str, map_location: Any = None) -> dict:
        return load_checkpoint_safely(filename, map_location)

    def load_from_http(filename: str, map_location: Any = None,
                       model_dir: Optional[str] = None) -> dict:
        folder = model_dir or os.path.join(torch.hub.get_dir(), 'checkpoints')
        path = os.path.join(folder, os.path.basename(urlparse(filename).path))
        rank, world_size = get_dist_info()
        if rank == 0 and not os.path.exists(path):
            os.makedirs(folder, exist_ok=True)
            try:
                torch.hub.download_url_to_file(filename, path)
            except URLError as error:
                raise RuntimeError(f'{filename} cannot be downloaded ({error.reason}). Fetch it '
                                   'elsewhere and give its local path instead, for example '
                                   '--cfg-options model.backbone.pretrained=PATH') from error
        if world_size > 1:
            torch.distributed.barrier()
        return load_checkpoint_safely(path, map_location)

    loader = checkpoint.CheckpointLoader
    loader.register_scheme(prefixes='', loader=load_from_local, force=True)
    loader.register_scheme(prefixes=['http://', 'https://'], loader=load_from_http, force=True)
    # the loaders of torchvision://, open-mmlab:// and the like find an address and call this
    checkpoint.load_from_http = load_from_http


def _sdpa_macs(inputs: list, outputs: list) -> float:
    """Multiply-adds of ``softmax(q k^T) v``: ``2 * B * heads * M * N * d`` over 2 products."""
    from math import prod

    from mmengine.analysis.jit_handles import get_shape
    query, key, value = (get_shape(tensor) for tensor in inputs[:3])
    return prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def count_fused_attention() -> None:
    """Teach mmengine's FLOP counter fused attention.

    The counter skips the operators that it does not know, and so leaves out
    all of attention (https://github.com/open-mmlab/mmengine/issues/1556).
    Delete when ``aten::scaled_dot_product_attention`` is in mmengine's own table.
    """
    from mmengine.analysis import complexity_analysis
    complexity_analysis._DEFAULT_SUPPORTED_FLOP_OPS.setdefault(
        'aten::scaled_dot_product_attention', _sdpa_macs)


def accept_bfloat16_scores() -> None:
    """Let heads compute the loss of bfloat16 scores, as ``--amp`` gives them with that dtype.

    MMAction2's ``BaseHead`` logs the training accuracy from a NumPy array of the scores, and
    NumPy has no bfloat16. They are cast to float32, in which autocast computes the loss anyway. No
    upstream issue is known. Delete when ``BaseHead.loss_by_feat`` takes bfloat16 scores.
    """
    import torch
    from mmaction.models.heads import BaseHead
    original = BaseHead.loss_by_feat
    if getattr(original, 'accepts_bfloat16', False):
        return

    @functools.wraps(original)
    def loss_by_feat(self: BaseHead, cls_scores: torch.Tensor, data_samples: list) -> dict:
        if cls_scores.dtype == torch.bfloat16:
            cls_scores = cls_scores.float()
        return original(self, cls_scores, data_samples)

    loss_by_feat.__dict__.update(accepts_bfloat16=True)
    BaseHead.loss_by_feat = loss_by_feat


def dump_scores_first() -> None:
    """Let ``mim test --dump`` write the scores before a metric can raise.

    MMAction2 puts ``DumpResults`` behind the config's metrics, and mmengine's evaluator runs them
    in that order, so that the scores of a whole test are lost when a metric refuses them. No
    upstream issue is known. Delete when a dump is there although a metric before it raises.
    """
    from mmengine.evaluator import DumpResults, Evaluator
    original = Evaluator.__init__
    if hasattr(original, '__wrapped__'):
        return

    @functools.wraps(original)
    def __init__(self: Evaluator, metrics: Any) -> None:
        original(self, metrics)
        self.metrics.sort(key=lambda metric: not isinstance(metric, DumpResults))

    Evaluator.__init__ = __init__


def write_files_atomically() -> None:
    """Make mmengine's local files appear when they are whole.

    mmengine writes a checkpoint into its final place, so that a kill or a full disk leaves half
    of one under its name. No upstream issue is known. Delete when
    ``LocalBackend.put`` renames a finished file.
    """

    from mmengine.fileio import LocalBackend

    from .files import atomic_file

    def put(self: LocalBackend, obj: bytes, filepath: str) -> None:
        try:
            with atomic_file(filepath, durable=True) as partial:
                partial.write_bytes(obj)
        except OSError as error:
            raise type(error)(
                error.errno, f'{len(obj)} bytes cannot be written ({error.strerror}); '
                'nothing half-written is left, and what was saved before is as it was. Make room, '
                'or choose another --work-dir; a training goes on by --resume',
                str(filepath)) from error

    LocalBackend.put = put


def start_processes_without_gpu() -> None:
    """Let ``--launcher`` start processes on a machine without GPU, over gloo.

    mmengine chooses a CUDA device for each process, whatever the backend, and tells
    ``DistributedDataParallel`` that a model on the CPU has one. No upstream issue is
    known. Delete when mmengine does neither without CUDA.
    """
    import torch
    from mmengine.device import get_device
    from mmengine.dist import utils
    from mmengine.model import MMDistributedDataParallel

    def without_device(start: Callable) -> Callable:

        @functools.wraps(start)
        def start_on_cpu(backend: str, *args: Any, **kwargs: Any) -> Any:
            if get_device() != 'cpu':
                return start(backend, *args, **kwargs)
            if backend == 'nccl':
                raise RuntimeError(
                    'no GPU is visible here, and the backend nccl needs one. For processes on the '
                    'CPU add --cfg-options env_cfg.dist_cfg.backend=gloo')
            set_device, torch.cuda.set_device = torch.cuda.set_device, lambda device: None
            try:
                return start(backend, *args, **kwargs)
            finally:
                torch.cuda.set_device = set_device

        return start_on_cpu

    for name in ('_init_dist_pytorch', '_init_dist_slurm'):
        start = getattr(utils, name)
        if not hasattr(start, '__wrapped__'):
            setattr(utils, name, without_device(start))

    original = MMDistributedDataParallel.__init__
    if hasattr(original, '__wrapped__'):
        return

    @functools.wraps(original)
    def __init__(self: MMDistributedDataParallel, module: torch.nn.Module, *args: Any,
                 **kwargs: Any) -> None:
        if get_device() == 'cpu':
            kwargs.pop('device_ids', None)
        original(self, module, *args, **kwargs)

    MMDistributedDataParallel.__init__ = __init__


def import_mmcv_quietly() -> None:
    """Import mmcv's transformer bricks without their complaint about mmcv-lite.

    The bricks warn that ``MultiScaleDeformableAttention`` needs compiled
    operators (https://github.com/open-mmlab/mmcv/issues/1975); nothing here uses
    it. Delete when mmcv warns at use instead of at import.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings(
            'ignore', message='Fail to import ``MultiScaleDeformableAttention``')
        importlib.import_module('mmcv.cnn.bricks.transformer')


def apply() -> None:
    """Run every workaround; the order matters: mmcv is settled before mmaction is looked at."""
    require_mmcv()
    import_mmcv_quietly()
    stub_missing_drn()
    leave_out_broken_vindlu()
    allow_checkpoint_classes()
    load_checkpoints_safely()
    write_files_atomically()
    start_processes_without_gpu()
    count_fused_attention()
    accept_bfloat16_scores()
    dump_scores_first()

"""What this package changes in mmengine by choice, each of which can be switched off.

Importing :mod:`gaie_mmaction` applies them to the whole process, except those of
:data:`POLICIES` that the environment names: ``GAIE_MMACTION_OFF=safe_loading,dump_first``.
"""
import os
import pickle
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from logging import FileHandler
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlparse

import torch
from filelock import FileLock
from mmengine.config import ConfigDict
from mmengine.device import get_device
from mmengine.evaluator import DumpResults, Evaluator
from mmengine.fileio import LocalBackend
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from mmengine.runner import checkpoint as checkpoint_module

from .compat import wrap
from .datasets.views import inner_dataset
from .utils.files import atomic_file
from .utils.safe_pickle import DAMAGE, limited_growth, require_uncompressed

SWITCH = 'GAIE_MMACTION_OFF'
REFUSED = """checkpoint {path} is refused and nothing of it was run: {reason}.
Only tensors, plain containers, NumPy numbers and mmengine's log buffers are read; \
TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD has no effect on this. If you trust its source, keep its weights:
  content = torch.load({path!r}, map_location='cpu', weights_only=False)
  torch.save(dict(state_dict=content.get('state_dict', content)), NEW_PATH)
or allow the class in a module of custom_imports: torch.serialization.add_safe_globals([CLASS])"""


def load_checkpoint_safely(filename: str, map_location: Any = None) -> dict:
    """Load a local checkpoint file without running anything that it may hold.

    Raises:
        FileNotFoundError: If there is no such file.
        RuntimeError: If the file is damaged or not a checkpoint, or if it holds anything but
            tensors, plain containers and mmengine's own log buffers.
    """
    path = os.path.expanduser(filename)
    if not os.path.isfile(path):
        raise FileNotFoundError(f'checkpoint {filename} does not exist')
    size = os.path.getsize(path)
    with open(path, 'rb') as file:
        start = file.read(40)
        file.seek(0)
        try:
            require_uncompressed(file)
            with limited_growth(size):
                return torch.load(file, map_location=map_location, weights_only=True)
        except torch.OutOfMemoryError:
            raise  # is a RuntimeError, but says nothing about the file
        except pickle.UnpicklingError as error:
            if not start.startswith((b'PK', b'\x80')):  # neither a zip nor a pickle
                raise RuntimeError(
                    f'{filename} is not a checkpoint: it begins with {start!r}. Perhaps a web page '
                    'or a Git LFS pointer was saved instead: download it again.') from error
            # torch hides its reason behind the advice to switch the check off
            said = str(error.__context__ or error)
            name = re.search(r'GLOBAL (\S+)', said)
            reason = f'it holds {name[1]}' if name else said.splitlines()[0].rstrip('.')
            raise RuntimeError(REFUSED.format(path=filename, reason=reason)) from error
        except DAMAGE as error:
            if 'torch.cuda.is_available() is False' in str(error):
                raise RuntimeError(f'checkpoint {filename} holds CUDA tensors, and no GPU is '
                                   "visible: load it with map_location='cpu'") from error
            raise RuntimeError(
                f'checkpoint {filename} ({size} bytes) cannot be read ({type(error).__name__}: '
                f'{error}). It is damaged or incomplete: download or save it again, or resume from '
                'an earlier one.') from error


def download(url: str, folder: str | None = None) -> str:
    """Download a checkpoint once per node, by default into PyTorch's hub folder."""
    folder = folder or os.path.join(torch.hub.get_dir(), 'checkpoints')
    path = os.path.join(folder, os.path.basename(urlparse(url).path))
    os.makedirs(folder, exist_ok=True)
    with FileLock(f'{path}.lock'):  # the first process of each node downloads
        if not os.path.exists(path):
            try:
                torch.hub.download_url_to_file(url, path)
            except OSError as error:
                raise RuntimeError(
                    f'{url} cannot be downloaded ({error}): fetch it on another machine, and copy '
                    f'it to {path}, or set its local path where the config has this URL') from error
    return path


def load_checkpoints_safely() -> None:
    """Make mmengine load local and downloaded checkpoints by :func:`load_checkpoint_safely`.

    mmengine leaves ``weights_only`` to torch, whose helper for URLs defaults to False and runs code
    from the file (https://github.com/open-mmlab/mmengine/issues/1655).
    """

    def load_from_local(filename: str, map_location: Any = None) -> dict:
        return load_checkpoint_safely(filename, map_location)  # mmengine logs this function's name

    def load_from_http(filename: str, map_location: Any = None,
                       model_dir: str | None = None) -> dict:
        return load_checkpoint_safely(download(filename, model_dir), map_location)

    loader = checkpoint_module.CheckpointLoader
    loader.register_scheme(prefixes='', loader=load_from_local, force=True)
    loader.register_scheme(prefixes=['http://', 'https://'], loader=load_from_http, force=True)
    # the loaders of torchvision://, open-mmlab:// and the like resolve to a URL and call this
    checkpoint_module.load_from_http = load_from_http


def write_files_atomically() -> None:
    """Make mmengine's local files appear only when they are complete."""

    def put(self: LocalBackend, obj: bytes, filepath: str) -> None:
        try:
            with atomic_file(filepath, durable=True) as partial:
                partial.write_bytes(obj)
        except OSError as error:
            raise type(error)(
                error.errno, f'{len(obj)} bytes cannot be written ({error.strerror}); '
                'nothing half-written is left, and earlier files are intact. Make room, or choose '
                'another --work-dir, and continue with --resume', str(filepath)) from error

    LocalBackend.put = put


def dump_scores_first() -> None:
    """Let ``mim test --dump`` write the scores before a metric can raise.

    MMAction2 appends ``DumpResults`` to the metrics, which run in that order.
    """

    @wrap(Evaluator, '__init__')
    def init(original: Callable, evaluator: Evaluator, metrics: Any) -> None:
        original(evaluator, metrics)
        evaluator.metrics.sort(key=lambda metric: not isinstance(metric, DumpResults))


def find_problems(cfg: ConfigDict, training: bool) -> list[str]:
    """List missing annotation files and weights, after downloading, and ``--amp`` on a CPU."""
    problems = []
    for part in ('train', 'val') if training else ('test', ):
        loader = cfg.get(f'{part}_dataloader') or {}
        dataset = inner_dataset(loader) if isinstance(loader.get('dataset'), dict) else {}
        if not isinstance(dataset.get('ann_file'), str):
            continue
        path = os.path.join(dataset.get('data_root') or '', dataset['ann_file'])
        if dataset['ann_file'] and '://' not in path and not os.path.exists(path):
            problems.append(f'{part}_dataloader: annotation file {path} does not exist: make it '
                            'with a tool of tools/data (prepare_imigue.py for iMiGUE; '
                            'docs/tools.md has the others), or set ann_file')
    sources = [('load_from', cfg.get('load_from'))]
    if training:
        sources += pretrained_weights('model', cfg.get('model') or {})
        wrapper = (cfg.get('optim_wrapper') or {}).get('type')
        if wrapper == 'AmpOptimWrapper' and get_device() == 'cpu':
            problems.append('--amp (AmpOptimWrapper) needs a GPU, and none is visible: leave it '
                            'out, or set optim_wrapper.type=OptimWrapper')
    for key, source in sources:
        if not isinstance(source, str):
            continue
        try:
            if source.startswith(('http://', 'https://')):
                download(source)
            elif '://' not in source and not os.path.isfile(os.path.expanduser(source)):
                problems.append(f'{key}: {source} does not exist')
        except RuntimeError as error:
            problems.append(f'{key}: {error}')
    return problems


def pretrained_weights(name: str, part: Any) -> Iterator[tuple[str, Any]]:
    """Config keys of the model that name weights to start from."""
    for key, value in part.items() if isinstance(part, dict) else ():
        if key == 'pretrained' or (key == 'checkpoint' and part.get('type') == 'Pretrained'):
            yield f'{name}.{key}', value
        else:
            yield from pretrained_weights(f'{name}.{key}', value)


def check_before_run() -> None:
    """Report all missing files at once, before anything is built of them."""

    def checked(run: Callable, runner: Runner) -> Any:
        if problems := find_problems(runner.cfg, training=run.__name__ == 'train'):
            raise RuntimeError('nothing was run:\n  ' + '\n  '.join(problems))
        return run(runner)

    for name in ('train', 'test'):
        wrap(Runner, name)(checked)


def set_test_views() -> None:
    """Let the config key ``tta``, such as ``5x3+flip``, set the views of a test.

    MMAction2 has no option for it, and mmengine's own ``tta_pipeline`` no script here.
    """

    @wrap(Runner, 'build_test_loop')
    def build_test_loop(original: Callable, runner: Runner, loop: Any) -> Any:
        if views := runner.cfg.get('tta'):
            from .datasets.views import with_views  # importing them here would be a circle
            runner._test_dataloader = with_views(runner._test_dataloader, views)
        return original(runner, loop)


def log_tracebacks() -> None:
    """In MMAction2's scripts, print only the message of an error; the log has the traceback."""
    script = Path(getattr(sys.modules['__main__'], '__file__', None) or '')
    if script.resolve().parts[-2:] not in (('tools', 'train.py'), ('tools', 'test.py')):
        return

    def say(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        logs = [handler.baseFilename for handler in MMLogger.get_current_instance().handlers
                if isinstance(handler, FileHandler)]
        if not logs or not isinstance(error, Exception):
            sys.__excepthook__(kind, error, trace)
            return
        with open(logs[0], 'a', encoding='utf-8') as file:
            traceback.print_exception(kind, error, trace, file=file)
        print(f'the traceback is in {logs[0]}\n{kind.__name__}: {error}', file=sys.stderr)

    sys.excepthook = say


POLICIES: dict[str, Callable[[], None]] = dict(
    safe_loading=load_checkpoints_safely,
    whole_files=write_files_atomically,
    dump_first=dump_scores_first,
    check_first=check_before_run,
    test_views=set_test_views,
    short_errors=log_tracebacks,
)


def apply() -> None:
    """Apply every policy that the environment does not switch off."""
    off = {name.strip() for name in os.environ.get(SWITCH, '').split(',') if name.strip()}
    unknown = sorted(off - set(POLICIES))
    if unknown:
        raise ValueError(f'{SWITCH} names {", ".join(unknown)}, but the policies are '
                         f'{", ".join(POLICIES)}')
    for name, function in POLICIES.items():
        if name not in off:
            function()

"""What this package changes in mmengine by choice, each of which can be switched off.

They are applied when :mod:`gaie_mmaction` is imported, also to code that has nothing to do with
it. ``GAIE_MMACTION_OFF=safe_loading,dump_first`` in the environment leaves out those named; the
names are the keys of :data:`POLICIES`. Workarounds for upstream bugs are in
:mod:`gaie_mmaction.compat`.
"""
import functools
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from typing import Any
from urllib.error import URLError
from urllib.parse import urlparse

import torch
from filelock import FileLock
from mmengine.evaluator import DumpResults, Evaluator
from mmengine.fileio import LocalBackend
from mmengine.runner import checkpoint as checkpoint_module

from .utils.files import atomic_file
from .utils.safe_pickle import DAMAGE

SWITCH = 'GAIE_MMACTION_OFF'


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
    path = os.path.expanduser(filename)
    if not os.path.isfile(path):
        raise FileNotFoundError(f'checkpoint {filename} does not exist')
    _require_uncompressed(path)
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except torch.OutOfMemoryError:
        raise  # is a RuntimeError, but says nothing about the file
    except pickle.UnpicklingError as error:
        # torch's own text advises to switch the check off, which is no way out
        with open(path, 'rb') as file:
            start = file.read(40)
        if not start.startswith((b'PK', b'\x80')):  # neither a zip nor a pickle
            raise RuntimeError(
                f'{filename} is no checkpoint: it begins with {start!r}. Perhaps a web page or '
                'the pointer of a large file was saved instead: download it again.') from error
        found = re.search(r'GLOBAL (\S+)', str(error))
        said = re.search(r'WeightsUnpickler error:\s*(.+)', str(error))
        reason = (f'it holds {found[1]}' if found else said[1] if said else
                  str(error).strip().splitlines()[0])
        raise RuntimeError(
            f'checkpoint {filename} is refused and nothing of it was run: {reason}. Only tensors, '
            'plain containers and what mmengine writes are read. If you trust its source, keep its '
            "weights alone: torch.save(dict(state_dict=torch.load(PATH, weights_only=False)"
            "['state_dict']), NEW_PATH)") from error
    except DAMAGE as error:
        if 'torch.cuda.is_available() is False' in str(error):
            raise RuntimeError(f'checkpoint {filename} holds tensors of a GPU, and none is visible '
                               "here: load it with map_location='cpu'") from error
        raise RuntimeError(f'checkpoint {filename} ({os.path.getsize(path)} bytes) cannot be '
                           f'read: {error}. It is damaged or incomplete: download or save it '
                           'again, or resume from an earlier one.') from error


def _require_uncompressed(path: str) -> None:
    """torch.save never compresses: records that would grow on reading are a trap for memory."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        declared = sum(record.file_size for record in archive.infolist())
    size = os.path.getsize(path)
    if declared > size:
        raise RuntimeError(f'checkpoint {path} is refused and nothing of it was run: its records '
                           f'would take {declared} bytes, but the file has {size}')


def load_checkpoints_safely() -> None:
    """Make mmengine load local and downloaded checkpoints by :func:`load_checkpoint_safely`.

    mmengine calls ``torch.load`` without ``weights_only``, and for a URL a helper of torch whose
    default is ``weights_only=False``, which runs code from the file
    (https://github.com/open-mmlab/mmengine/issues/1655).
    """

    def load_from_local(filename: str, map_location: Any = None) -> dict:
        return load_checkpoint_safely(filename, map_location)

    def load_from_http(filename: str, map_location: Any = None,
                       model_dir: str | None = None) -> dict:
        folder = model_dir or os.path.join(torch.hub.get_dir(), 'checkpoints')
        path = os.path.join(folder, os.path.basename(urlparse(filename).path))
        os.makedirs(folder, exist_ok=True)
        with FileLock(f'{path}.lock'):  # the first process of each node downloads
            if not os.path.exists(path):
                try:
                    torch.hub.download_url_to_file(filename, path)
                except (URLError, OSError) as error:
                    raise RuntimeError(
                        f'{filename} cannot be downloaded ({error}). Fetch it elsewhere and give '
                        'its local path instead, for example --cfg-options '
                        'model.backbone.pretrained=PATH') from error
        return load_checkpoint_safely(path, map_location)

    loader = checkpoint_module.CheckpointLoader
    loader.register_scheme(prefixes='', loader=load_from_local, force=True)
    loader.register_scheme(prefixes=['http://', 'https://'], loader=load_from_http, force=True)
    # the loaders of torchvision://, open-mmlab:// and the like find an address and call this
    checkpoint_module.load_from_http = load_from_http


def write_files_atomically() -> None:
    """Make mmengine's local files appear only when they are complete.

    mmengine writes a checkpoint straight to its final path, so a kill or a full disk leaves half
    of one there.
    """

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


def dump_scores_first() -> None:
    """Let ``mim test --dump`` write the scores before a metric can raise.

    MMAction2 appends ``DumpResults`` to the config's metrics, and mmengine's evaluator runs them
    in that order: when a metric refuses the scores, those of the whole test are lost.
    """
    original = Evaluator.__init__
    if hasattr(original, '__wrapped__'):
        return

    @functools.wraps(original)
    def __init__(self: Evaluator, metrics: Any) -> None:
        original(self, metrics)
        self.metrics.sort(key=lambda metric: not isinstance(metric, DumpResults))

    Evaluator.__init__ = __init__


POLICIES: dict[str, Callable[[], None]] = dict(
    safe_loading=load_checkpoints_safely,
    whole_files=write_files_atomically,
    dump_first=dump_scores_first,
)


def apply() -> None:
    """Apply every policy that the environment does not switch off.

    Raises:
        ValueError: If ``GAIE_MMACTION_OFF`` names an unknown policy.
    """
    off = {name.strip() for name in os.environ.get(SWITCH, '').split(',') if name.strip()}
    unknown = sorted(off - set(POLICIES))
    if unknown:
        raise ValueError(f'{SWITCH} names {", ".join(unknown)}, but the policies are '
                         f'{", ".join(POLICIES)}')
    for name, function in POLICIES.items():
        if name not in off:
            function()

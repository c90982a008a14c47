"""File formats of a traced recognizer: how each is written and run.

A ``.pt2`` file holds a program, one of AOTInductor machine code: open only those that you trust.
"""
import importlib.util
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram

from ..utils.files import atomic_file
from .traceable import TraceableRecognizer, trace

OPSET = 18  # ScatterElements adds from opset 16 on
Runner = Callable[[np.ndarray], tuple[np.ndarray, ...]]  # frames (B, 3, T, H, W) -> outputs


class ExportError(RuntimeError):
    """A format cannot be written here."""


@dataclass(frozen=True)
class Format:
    """One file format; ``write`` takes the traced program, the names of its outputs and a path."""
    ending: str
    write: Callable[[ExportedProgram, Sequence[str], Path], None]
    load: Callable[[Path], Runner]
    summary: str
    needs: tuple[str, ...] = ()  # modules that are not installed by default
    dtype: torch.dtype = torch.float32  # that the program is traced in
    # largest error of a score as a share of the largest score, if it computes below float32
    lower_precision: float | None = None


def check_available(name: str) -> None:
    """Raise an ExportError with what to install if a format's modules or compiler are missing."""
    missing = [module for module in FORMATS[name].needs
               if importlib.util.find_spec(module) is None]
    if missing:
        raise ExportError(f'{name} needs {", ".join(missing)}: pip install -c constraints.txt '
                          '\'gaie_mmaction[export]\'')
    if name.startswith('aotinductor') and not any(
            map(shutil.which, filter(None, (os.environ.get('CXX'), 'g++', 'clang++')))):
        raise ExportError(f'{name} needs a C++ compiler (g++ or clang++, or CXX)')


def write_onnx(program: ExportedProgram, names: Sequence[str], path: Path) -> None:
    from onnxscript import opset18 as op

    def stable_sort(x: Any, stable: bool | None = None, dim: int = -1,
                    descending: bool = False) -> Any:
        # ONNX's TopK is a stable sort: of equal values the lower index comes first
        place: Any = op.Constant(value_ints=[dim])
        size = op.Gather(op.Shape(x), place)
        return op.TopK(x, size, axis=dim, largest=int(descending), sorted=1)

    logging.getLogger('torch.onnx').setLevel(logging.ERROR)  # it asks for torchvision
    with _quiet():
        try:
            onnx_program = torch.onnx.export(
                program, opset_version=OPSET, input_names=['frames'], output_names=list(names),
                custom_translation_table={torch.ops.aten.sort.stable: stable_sort}, verbose=False)
        except torch.onnx.OnnxExporterError as error:
            raise ExportError('ONNX cannot express this model, and nothing was written: take '
                              f'--format torch-export ({error.__cause__ or error})') from error
    assert onnx_program is not None  # None comes from the legacy exporter only
    with atomic_file(path) as partial:
        onnx_program.save(partial, external_data=False)


def write_onnx_int8(program: ExportedProgram, names: Sequence[str], path: Path) -> None:
    """Write ONNX with linear layers in 8-bit integers and dynamically quantised activations.

    Weights are unsigned: products of unsigned activations with *signed* weights saturate at 16 bits
    on x86 processors without VNNI, and the scores are wrong.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, 'whole.onnx')
        write_onnx(program, names, whole)
        model = onnx.load(whole)
        del model.graph.value_info[:]  # it keeps the shapes of weights that are transposed
        root = logging.getLogger()
        level = root.level
        root.setLevel(logging.ERROR)  # it recommends a preprocessing that is already done
        try:
            with atomic_file(path) as partial:
                quantize_dynamic(model, partial, weight_type=QuantType.QUInt8, per_channel=True,
                                 op_types_to_quantize=['MatMul', 'Gemm'])
        finally:
            root.setLevel(level)


def load_onnx(path: Path) -> Runner:
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        os.fspath(path), options, providers=['CPUExecutionProvider'])
    return lambda frames: tuple(session.run(None, {'frames': frames}))


def write_torch_export(program: ExportedProgram, names: Sequence[str], path: Path) -> None:
    # autocast regions cannot be read back from a file: they become plain casts
    with _quiet(), atomic_file(path) as partial, open(partial, 'wb') as file:
        torch.export.save(program.run_decompositions({}), file)


def load_torch_export(path: Path) -> Runner:
    with open(path, 'rb') as file:
        return _runner(torch.export.load(file).module())


def write_aotinductor(program: ExportedProgram, names: Sequence[str], path: Path) -> None:
    from torch._inductor import aoti_compile_and_package
    with tempfile.TemporaryDirectory() as folder, atomic_file(path) as partial, _quiet():
        package = aoti_compile_and_package(program, package_path=f'{folder}/model.pt2')
        shutil.copy(package, partial)


def load_aotinductor(path: Path) -> Runner:
    from torch._inductor import aoti_load_package
    return _runner(aoti_load_package(os.fspath(path)))


@contextmanager
def _quiet() -> Iterator[None]:  # torch's FutureWarnings are about its own code
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', FutureWarning)
        yield


def _runner(function: Callable) -> Runner:

    @torch.no_grad()
    def run(frames: np.ndarray) -> tuple[np.ndarray, ...]:
        outputs = function(torch.from_numpy(frames))
        return tuple(out.float().numpy() if out.is_floating_point() else out.numpy()
                     for out in outputs)

    return run


ONNX = ('onnx', 'onnxscript', 'onnxruntime')
BF16: dict[str, Any] = dict(summary='the same in bfloat16 autocast', dtype=torch.bfloat16,
                            lower_precision=.1)
FORMATS: dict[str, Format] = {
    'onnx': Format('.onnx', write_onnx, load_onnx, 'ONNX, run with ONNX Runtime', ONNX),
    'onnx-int8': Format('-int8.onnx', write_onnx_int8, load_onnx,
                        'ONNX with linear layers in 8-bit integers', ONNX, lower_precision=.15),
    'torch-export': Format('.pt2', write_torch_export, load_torch_export,
                           'torch.export, run with PyTorch'),
    'torch-export-bf16': Format('-bf16.pt2', write_torch_export, load_torch_export, **BF16),
    'aotinductor': Format('-aoti.pt2', write_aotinductor, load_aotinductor,
                          'compiled for this processor by AOTInductor'),
    'aotinductor-bf16': Format('-aoti-bf16.pt2', write_aotinductor, load_aotinductor, **BF16),
}


def output_files(out: str, formats: Sequence[str], stem: str) -> dict[str, Path]:
    """Path by format: ``out/stem.onnx`` and so on, or ``out`` itself, a file of one format."""
    if Path(out).is_dir() or Path(out).suffix not in ('.onnx', '.pt2'):
        return {name: Path(out) / (stem + FORMATS[name].ending) for name in formats}
    if len(formats) > 1:
        raise ValueError(f'{out} is one file, but {len(formats)} formats need a folder')
    suffix = Path(f'x{FORMATS[formats[0]].ending}').suffix
    if not out.endswith(suffix):
        raise ValueError(f'{formats[0]} files end in {suffix}, but got {out}')
    return {formats[0]: Path(out)}


def write_formats(model: nn.Module, shape: Sequence[int],
                  paths: dict[str, Path]) -> Iterator[tuple[str, Path]]:
    """Write a recognizer in evaluation mode, for one input shape ``(B, 3, T, H, W)``.

    Yields each item of ``paths``, by format, once its file is written. Missing modules or a missing
    compiler and operators without a translation are an :class:`ExportError`; any but a
    ``Recognizer3D``, and one that draws at random, is a ``TypeError``.
    """
    for name in paths:
        check_available(name)
    names = TraceableRecognizer(model).output_names
    for name, path in paths.items():
        FORMATS[name].write(trace(model, shape, FORMATS[name].dtype), names, path)
        yield name, path

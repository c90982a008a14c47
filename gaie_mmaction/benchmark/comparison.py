"""Measure accuracy, cost, latency and memory of models, at one point or over a sweep."""
import functools
import platform
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import torch
from mmaction.models import BaseRecognizer
from mmengine.config import Config

from ..apis.model import build_recognizer, load_config, load_weights, view_shape
from .accuracy import accuracy_or_reason
from .complexity import Complexity, measure_complexity
from .latency import Timing, time_interleaved
from .memory import peak_memory
from .steps import inference_step, training_step

DTYPES = {'float32': 'fp32', 'bfloat16': 'bf16'}
WORK_DIR = Path('work_dirs/compare')
Model = tuple[str, str | None]  # paths of config and checkpoint; None for random weights


@dataclass(frozen=True)
class Point:
    """What all models share at one point of a sweep; None leaves the config's value."""
    batch_size: int = 1
    dtype: str = 'float32'  # or 'bfloat16', by autocast
    view: tuple[int | None, int | None, int | None] = (None, None, None)  # (T, H, W)
    ratio: float | None = None  # token_keep_ratio of the reducers that have one

    def __str__(self) -> str:
        frames, height, width = self.view
        parts = [f'batch {self.batch_size}', self.dtype]
        parts += [f'{frames} frames'] if frames else []
        parts += [f'{height}x{width}'] if height else []
        parts += [f'ratio {self.ratio:g}'] if self.ratio else []
        return ', '.join(parts)


def _cpu_name() -> str:
    """The processor's name where the system tells it, else its architecture."""
    info = Path('/proc/cpuinfo')
    found = re.search('model name.*: (.*)', info.read_text('utf-8')) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def sweep(batch_sizes: Sequence[int], dtypes: Sequence[str], shape: Sequence[int | None],
          frames: Sequence[int] | None, sizes: Sequence[int] | None,
          ratios: Sequence[float | None]) -> list[Point]:
    """Points of all combinations; ``frames`` and ``sizes`` replace the parts of ``shape``."""
    pixels = [(side, side) for side in sizes] if sizes else [(shape[1], shape[2])]
    return [Point(batch, dtype, (length, *size), ratio) for batch, dtype, length, size, ratio
            in product(batch_sizes, dtypes, frames or shape[:1], pixels, ratios)]


@dataclass(frozen=True)
class Conditions:
    """How everything is measured."""
    device: torch.device
    rounds: int = 15
    warmup: int = 2  # rounds that are not counted
    train: str | None = None  # 'step': whole training steps too; 'gradients': without optimizer
    compiled: bool = False  # backbones through torch.compile, as one graph

    def names(self) -> dict[str, str]:
        """dict[str, str]: Hardware and versions, the constant columns of a csv."""
        on_gpu = self.device.type == 'cuda'
        name = torch.cuda.get_device_name(self.device) if on_gpu else f'CPU, {_cpu_name()}'
        return dict(device=name, threads=str(torch.get_num_threads()), rounds=str(self.rounds),
                    python=platform.python_version(), torch=torch.__version__,
                    **{package: version(package) for package in ('mmaction2', 'mmengine')},
                    **(dict(cuda=str(torch.version.cuda)) if on_gpu else {}))

    def machine(self) -> str:
        """str: Device and PyTorch for a file name, as timm's: ``cpu2-torch2.13``."""
        where = f'cpu{torch.get_num_threads()}'
        if self.device.type == 'cuda':
            where = self.names()['device'].lower().replace('nvidia ', '').replace(' ', '_')
        release = '.'.join(torch.__version__.split('.')[:2])
        return f'{where}-torch{release}{"-compiled" if self.compiled else ""}'


@dataclass(frozen=True)
class Result:
    """What was measured of one model at one point."""
    name: str
    config: str
    checkpoint: str | None
    point: Point
    shape: tuple[int, ...]  # of one view, (C, T, H, W)
    metrics: dict[str, float] | None  # acc/top1 ... in [0, 1]; None if not tested
    note: str  # what the accuracy is of, or why there is none
    complexity: Complexity
    inference: Timing
    inference_memory: int  # bytes
    training: Timing | None = None
    training_memory: int | None = None


def unique_names(configs: Sequence[str], checkpoints: Sequence[str | None]) -> list[str]:
    """Short names: the config's stem, with the checkpoint's or a number where that repeats."""
    stems = [Path(path).stem for path in configs]
    names = [f'{stem} ({Path(checkpoint).stem if checkpoint else "no checkpoint"})'
             if stems.count(stem) > 1 else stem for stem, checkpoint in zip(stems, checkpoints)]
    return [f'{name} #{number}' if names.count(name) > 1 else name
            for number, name in enumerate(names, 1)]


def build_model(model: Model, point: Point, cfg_options: dict | None = None
                ) -> tuple[Config, BaseRecognizer, tuple[int, ...]]:
    """Config, model and shape ``(C, T, H, W)`` of a view at a point.

    Raises:
        ValueError: If the backbone cannot be built at that size, or the checkpoint does not fit.
    """
    config, checkpoint = model
    cfg = load_config(config, cfg_options)
    backbone, shape = cfg.model.backbone, tuple(filter(None, point.view))
    if 0 < len(shape) < 3:
        shape = tuple(value or own for value, own in zip(point.view, view_shape(cfg)[1:]))
    shape = view_shape(cfg, shape or None)
    # the position table takes the point's size
    for key, value in zip(('num_frames', 'img_size'), point.view):
        if value and key in backbone:
            backbone[key] = value
    neck = backbone.get('neck')
    if point.ratio and neck is not None and neck.get('token_keep_ratio') is not None:
        neck.token_keep_ratio = point.ratio
    recognizer = build_recognizer(cfg)
    # times do not depend on the weights, whose position table is of the config's own view
    if checkpoint is not None and not any(point.view):
        load_weights(recognizer, checkpoint, config)
    return cfg, recognizer, shape


def compare(models: Sequence[Model], points: Sequence[Point], conditions: Conditions,
            say: Callable[[str], None], *, ann_file: str | None = None,
            cfg_options: dict | None = None, out: Path = WORK_DIR) -> list[Result]:
    """Measure all models at all points; at each point they take turns.

    All models are held at once; results come point by point, in their order. Accuracy is that of
    models with a checkpoint, in float32, on the labelled clips of the config or of ``ann_file``,
    once per keep ratio; never at another view than the data pipeline's. ``say`` gets a line about
    what comes next, ``out`` the test logs, and ``cfg_options`` change every config.

    Raises:
        ValueError: If a model cannot be built, a checkpoint does not fit, or ``ann_file`` has no
            labels.
    """
    names, results = unique_names(*zip(*models)), list[Result]()
    tested: dict[tuple, tuple[dict[str, float] | None, str]] = {}
    for number, point in enumerate(points, 1):
        say(f'point {number} of {len(points)}: {point}')
        built = {name: build_model(model, point, cfg_options)
                 for name, model in zip(names, models)}
        for (name, (cfg, model, _)), (_, checkpoint) in zip(built.items(), models):
            if (name, point.view, point.ratio) not in tested:
                tested[name, point.view, point.ratio] = accuracy_or_reason(
                    name, cfg, checkpoint, point.view, ann_file, out, say)
            model.to(conditions.device)
            if conditions.compiled:
                model.backbone.compile(fullgraph=True)
        say('multiply-adds')
        costs = [measure_complexity(model, shape) for _, model, shape in built.values()]
        steps = [_measure_steps(built, point, conditions, train, say)
                 for train in (False, True)[:1 + bool(conditions.train)]]
        for k, (name, model) in enumerate(zip(names, models)):
            measured: list[Any] = [column[k] for columns in steps for column in columns]
            results.append(Result(name, *model, point, built[name][2],
                                  *tested[name, point.view, point.ratio], costs[k], *measured))
    return results


def _measure_steps(built: dict[str, tuple], point: Point, conditions: Conditions, train: bool,
                   say: Callable[[str], None]) -> tuple[list[Timing], list[int]]:
    dtype, what = getattr(torch, point.dtype), 'training' if train else 'inference'

    def make(cfg: Config, model: BaseRecognizer, shape: tuple[int, ...]) -> Callable[[], object]:
        if not train:
            return inference_step(model, shape, point.batch_size, dtype)
        return training_step(model, cfg, shape, point.batch_size, dtype,
                             update=conditions.train == 'step')

    say(f'memory of {what}')
    memory = [peak_memory(parts[1], functools.partial(make, *parts)) for parts in built.values()]
    say(f'{what}: {conditions.warmup} + {conditions.rounds} rounds of {len(built)} models')
    times = time_interleaved({name: make(*parts) for name, parts in built.items()},
                             conditions.device, conditions.rounds, conditions.warmup)
    return list(times.values()), memory


def baselines(results: Sequence[Result]) -> dict[Point, Result]:
    """dict: The first model's result at each point, which all ratios are to."""
    return {result.point: result for result in reversed(results)}


def arithmetic_speed(result: Result, first: Result) -> float:
    """Speed over the first model if time went by multiply-adds alone."""
    return first.complexity.true_macs / result.complexity.true_macs

"""Measure accuracy, cost, latency and memory of models, at one point or over a sweep."""
import functools
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import repeat
from pathlib import Path

import torch
from mmaction.models import BaseRecognizer
from mmengine.config import Config

from .accuracy import accuracy_or_reason, load_weights
from .complexity import Complexity, build_recognizer, measure_complexity, view_shape
from .latency import Timing, time_interleaved
from .memory import peak_memory
from .steps import inference_step, training_step

DTYPES = {'float32': 'fp32', 'bfloat16': 'bf16'}


@dataclass(frozen=True)
class Point:
    """What all models of one comparison share.

    Attributes:
        batch_size (int): Clips in a step. Defaults to 1.
        dtype (str): ``'float32'`` or ``'bfloat16'`` (autocast). Defaults to ``'float32'``.
        view (tuple[int or None]): ``(T, H, W)``; None leaves the config's. Defaults to all None.
        ratio (float, optional): ``token_keep_ratio`` of the reducers that have one; None leaves
            the config's.
    """
    batch_size: int = 1
    dtype: str = 'float32'
    view: tuple[int | None, int | None, int | None] = (None, None, None)
    ratio: float | None = None

    def __str__(self) -> str:
        parts = [f'batch {self.batch_size}', self.dtype]
        frames, height, width = self.view
        parts += [f'{frames} frames'] if frames else []
        parts += [f'{height}x{width}'] if height else []
        parts += [f'ratio {self.ratio:g}'] if self.ratio else []
        return ', '.join(parts)


@dataclass(frozen=True)
class Conditions:
    """How everything is measured.

    Attributes:
        device (torch.device): Where the models are.
        rounds (int): Counted rounds. Defaults to 15.
        warmup (int): Rounds before them. Defaults to 2.
        train (str, optional): ``'step'`` measures whole training steps too, ``'gradients'``
            those without the optimizer. Defaults to None.
        compiled (bool): Whether the backbones go through ``torch.compile``, as one graph.
            Defaults to False.
    """
    device: torch.device
    rounds: int = 15
    warmup: int = 2
    train: str | None = None
    compiled: bool = False

    def names(self) -> dict[str, str]:
        """dict[str, str]: Hardware and versions, the columns of a csv that do not vary."""
        on_gpu = self.device.type == 'cuda'
        name = torch.cuda.get_device_name(self.device) if on_gpu else f'CPU, {_cpu_name()}'
        names = dict(device=name, threads=str(torch.get_num_threads()), rounds=str(self.rounds),
                     python=platform.python_version(), torch=torch.__version__)
        names.update({package: version(package) for package in ('mmaction2', 'mmengine')})
        if on_gpu:
            names['cuda'] = str(torch.version.cuda)
        return names

    def machine(self) -> str:
        """str: Device and PyTorch for a file name, as timm's: ``cpu2-torch2.13``."""
        where = f'cpu{torch.get_num_threads()}'
        if self.device.type == 'cuda':
            name = torch.cuda.get_device_name(self.device).lower().replace('nvidia ', '')
            where = name.replace(' ', '_')
        release = '.'.join(torch.__version__.split('.')[:2])
        return f'{where}-torch{release}{"-compiled" if self.compiled else ""}'


@dataclass(frozen=True)
class Entry:
    """A model at a point.

    Attributes:
        name (str): Its unique name.
        config (str): Path of its config.
        checkpoint (str, optional): Path or URL; None for random weights.
        cfg (Config): The config at the point.
        shape (tuple[int]): Input of one view, ``(C, T, H, W)``.
        metrics (dict[str, float], optional): ``acc/top1`` ... in [0, 1]; None if not tested.
        note (str): What the accuracy was measured on, or why it was not.
    """
    name: str
    config: str
    checkpoint: str | None
    cfg: Config
    shape: tuple[int, ...]
    metrics: dict[str, float] | None = None
    note: str = ''


@dataclass(frozen=True)
class Result:
    """What was measured of one model at one point.

    Attributes:
        entry (Entry): The model.
        point (Point): Where.
        complexity (Complexity): Of one view.
        inference (Timing): Of a batch.
        inference_memory (int): Bytes.
        training (Timing, optional): Of a step; None if not measured.
        training_memory (int, optional): Bytes.
    """
    entry: Entry
    point: Point
    complexity: Complexity
    inference: Timing
    inference_memory: int
    training: Timing | None = None
    training_memory: int | None = None


def unique_names(configs: Sequence[str], checkpoints: Sequence[str | None]) -> list[str]:
    """Short names: the config's stem, with the checkpoint's or a number where that repeats."""
    names = [Path(path).stem for path in configs]
    repeated = {name for name, times in Counter(names).items() if times > 1}
    names = [f'{name} ({Path(checkpoint).stem if checkpoint else "no checkpoint"})'
             if name in repeated else name for name, checkpoint in zip(names, checkpoints)]
    repeated = {name for name, times in Counter(names).items() if times > 1}
    return [f'{name} #{number}' if name in repeated else name
            for number, name in enumerate(names, 1)]


def build_entry(name: str, config: str, checkpoint: str | None, point: Point,
                device: torch.device,
                cfg_options: dict | None = None) -> tuple[Entry, BaseRecognizer]:
    """Build a config's model for a point; its position table takes the point's size.

    Raises:
        ValueError: If the backbone cannot be built at that size, or the checkpoint does not fit.
    """
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(cfg_options or {})
    backbone, (frames, height, width) = cfg.model.backbone, point.view
    if frames and height and width:
        shape = view_shape(cfg, (frames, height, width))
    elif any(point.view):
        _, *own = view_shape(cfg)
        shape = view_shape(cfg, [value or own[k] for k, value in enumerate(point.view)])
    else:
        shape = view_shape(cfg)
    for key, value in (('num_frames', frames), ('img_size', height)):
        if value and key in backbone:
            backbone[key] = value
    neck = backbone.get('neck')
    if point.ratio and neck is not None and neck.get('token_keep_ratio') is not None:
        neck.token_keep_ratio = point.ratio
    model = build_recognizer(cfg)
    if checkpoint is not None:
        load_weights(model, checkpoint, config)
    return Entry(name, config, checkpoint, cfg, shape), model.to(device)


def compare(models: Sequence[tuple[str, str | None]], points: Sequence[Point],
            conditions: Conditions, say: Callable[[str], None], *,
            ann_file: str | None = None, cfg_options: dict | None = None,
            work_dir: Path = Path('work_dirs/compare')) -> list[Result]:
    """Measure all models at all points; at each point the models take turns.

    Accuracy is in float32, of models with a checkpoint, on the labelled clips of the config or
    of ``ann_file``, once for each keep ratio; never at another view than the data pipeline's.

    Args:
        models (Sequence[tuple]): Config and checkpoint, or None for random weights, of each.
        points (Sequence[Point]): Where.
        conditions (Conditions): How. All models of a point are held at once.
        say (Callable): Gets a line about what comes next.
        ann_file (str, optional): Annotation file instead of the test part's. Defaults to None.
        cfg_options (dict, optional): Changes of every config. Defaults to None.
        work_dir (Path): Folder of the test logs. Defaults to ``work_dirs/compare``.

    Returns:
        list[Result]: Point by point, in the order of the models.

    Raises:
        ValueError: If a model cannot be built, a checkpoint does not fit, or ``ann_file`` has no
            labels.
    """
    names, results = unique_names(*zip(*models)), []
    tested: dict[tuple, tuple[dict[str, float] | None, str]] = {}
    for number, point in enumerate(points, 1):
        if len(points) > 1:
            say(f'point {number} of {len(points)}: {point}')
        entries, built = [], []
        for name, (config, checkpoint) in zip(names, models):
            entry, model = build_entry(name, config, checkpoint, point, conditions.device,
                                       cfg_options)
            key = (name, point.view, point.ratio)
            if key not in tested:
                tested[key] = accuracy_or_reason(name, entry.cfg, checkpoint, point.view, ann_file,
                                            work_dir, say)
            metrics, note = tested[key]
            if conditions.compiled:
                model.backbone.compile(fullgraph=True)
            entries.append(replace(entry, metrics=metrics, note=note))
            built.append(model)
        results += measure(entries, built, point, conditions, say)
    return results


def measure(entries: Sequence[Entry], models: Sequence[BaseRecognizer], point: Point,
            conditions: Conditions, say: Callable[[str], None]) -> list[Result]:
    """Cost, memory and time of each model at one point; with ``train`` the weights change."""
    say('multiply-adds')
    costs = [measure_complexity(model, entry.shape) for entry, model in zip(entries, models)]
    times, memory = _measure_steps(entries, models, point, conditions, False, say)
    if not conditions.train:
        return list(map(Result, entries, repeat(point), costs, times, memory))
    return list(map(Result, entries, repeat(point), costs, times, memory,
                    *_measure_steps(entries, models, point, conditions, True, say)))


def _measure_steps(entries: Sequence[Entry], models: Sequence[BaseRecognizer], point: Point,
                   conditions: Conditions, train: bool,
                   say: Callable[[str], None]) -> tuple[list[Timing], list[int]]:
    dtype, what = getattr(torch, point.dtype), 'training' if train else 'inference'

    def make(entry: Entry, model: BaseRecognizer) -> Callable[[], object]:
        if not train:
            return inference_step(model, entry.shape, point.batch_size, dtype)
        return training_step(model, entry.cfg, entry.shape, point.batch_size, dtype,
                             update=conditions.train == 'step')

    say(f'memory of {what}')
    memory = [peak_memory(model, functools.partial(make, entry, model))
              for entry, model in zip(entries, models)]
    say(f'{what}: {conditions.warmup} + {conditions.rounds} rounds of {len(entries)} models')
    steps = {entry.name: make(entry, model) for entry, model in zip(entries, models)}
    times = time_interleaved(steps, conditions.device, conditions.rounds, conditions.warmup)
    return [times[entry.name] for entry in entries], memory


def baselines(results: Sequence[Result]) -> dict[Point, Result]:
    """dict: The first model's result at each point, which all ratios are to."""
    return {result.point: result for result in reversed(results)}


def arithmetic_speed(result: Result, first: Result) -> float:
    """Speed over the first model if time went by multiply-adds alone."""
    return first.complexity.true_macs / result.complexity.true_macs


def _cpu_name() -> str:
    """The processor's name where the system tells it, else its architecture."""
    info = Path('/proc/cpuinfo')
    lines = info.read_text(encoding='utf-8').splitlines() if info.exists() else []
    names = [line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()

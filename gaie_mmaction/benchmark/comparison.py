"""What any set of models scores, costs and takes, a row each, as text."""
import functools
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from mmaction.models import BaseRecognizer
from mmengine.config import Config

from .complexity import Complexity, measure_complexity
from .latency import Timing, time_in_turn
from .memory import peak_memory
from .published import ACCURACIES, COSTS, marked
from .steps import inference_step, training_step
from .text_table import TextTable

NOTHING = '-'
DTYPES = {'float32': 'fp32', 'bfloat16': 'bf16'}


@dataclass(frozen=True)
class Entry:
    """A model that is compared.

    Attributes:
        name (str): In the tables; different for each.
        config (str): Path of its config.
        checkpoint (str, optional): Path or URL.
        cfg (Config): The config.
        model (BaseRecognizer): On the device.
        shape (tuple[int]): Input of one view, ``(C, T, H, W)``.
        metrics (dict[str, float], optional): ``acc/top1`` ... in [0, 1]; None if not tested.
            Defaults to None.
    """
    name: str
    config: str
    checkpoint: str | None
    cfg: Config
    model: BaseRecognizer
    shape: tuple[int, ...]
    metrics: dict[str, float] | None = None


@dataclass(frozen=True)
class Conditions:
    """What times depend on besides the model.

    Attributes:
        device (torch.device): Where the models are.
        dtype (str): ``'float32'`` or ``'bfloat16'`` (autocast).
        batch_size (int): Clips in a step.
        rounds (int): Counted rounds.
        warmup (int): Rounds before them.
        train (bool): Whether training steps are measured too.
        update (bool): Whether the optimizer's step is in them. Defaults to True.
    """
    device: torch.device
    dtype: str
    batch_size: int
    rounds: int
    warmup: int
    train: bool
    update: bool = True

    def names(self) -> dict[str, str]:
        """dict[str, str]: By name, what a table must say of them."""
        on_gpu = self.device.type == 'cuda'
        name = torch.cuda.get_device_name(self.device) if on_gpu else f'CPU, {_cpu_name()}'
        names = dict(device=name, dtype=self.dtype, batch=str(self.batch_size),
                     threads=str(torch.get_num_threads()), rounds=str(self.rounds),
                     python=platform.python_version(), torch=torch.__version__)
        names.update({package: version(package) for package in ('mmaction2', 'mmengine')})
        if on_gpu:
            names['cuda'] = str(torch.version.cuda)
        return names

    def file_stem(self) -> str:
        """str: As timm's result files: ``infer-fp32-cpu2-torch2.13``."""
        batch = '' if self.batch_size == 1 else f'-batch{self.batch_size}'
        return f'infer-{DTYPES[self.dtype]}{batch}-{self.machine()}'

    def machine(self) -> str:
        """str: Device and PyTorch for a file's name: ``cpu2-torch2.13``."""
        where = f'cpu{torch.get_num_threads()}'
        if self.device.type == 'cuda':
            name = torch.cuda.get_device_name(self.device).lower().replace('nvidia ', '')
            where = name.replace(' ', '_')
        release = '.'.join(torch.__version__.split('.')[:2])
        return f'{where}-torch{release}'


@dataclass(frozen=True)
class Row:
    """What was measured of one model.

    Attributes:
        complexity (Complexity): Of one view.
        inference (Timing): Of a batch.
        inference_memory (int): Bytes.
        training (Timing, optional): Of a step; None if not measured.
        training_memory (int, optional): Bytes.
    """
    complexity: Complexity
    inference: Timing
    inference_memory: int
    training: Timing | None = None
    training_memory: int | None = None


def different_names(paths: Sequence[str], checkpoints: Sequence[str | None]) -> list[str]:
    """A short name for each model: the config's, and what tells it from the others.

    Args:
        paths (Sequence[str]): Configs.
        checkpoints (Sequence[str or None]): Theirs.

    Returns:
        list[str]: Config's stem; if it occurs twice with the checkpoint's; if that does
        too, with a number.
    """
    names = [Path(path).stem for path in paths]
    repeated = {name for name, times in Counter(names).items() if times > 1}
    names = [f'{name} ({Path(checkpoint).stem if checkpoint else "no checkpoint"})'
             if name in repeated else name for name, checkpoint in zip(names, checkpoints)]
    repeated = {name for name, times in Counter(names).items() if times > 1}
    return [f'{name} #{number}' if name in repeated else name
            for number, name in enumerate(names, 1)]


def measure(entries: Sequence[Entry], conditions: Conditions,
            say: Callable[[str], None]) -> list[Row]:
    """Cost, memory and time of each model; times in turn.

    Args:
        entries (Sequence[Entry]): The models; all are held at once. With ``train`` their
            weights change.
        conditions (Conditions): How.
        say (Callable): Gets a line about what comes next.

    Returns:
        list[Row]: In the same order.
    """
    say('multiply-adds')
    costs = [measure_complexity(entry.model, entry.shape) for entry in entries]
    times, memory = _measure_steps(entries, conditions, _inference_of, 'inference', say)
    if not conditions.train:
        return list(map(Row, costs, times, memory))
    return list(map(Row, costs, times, memory,
                    *_measure_steps(entries, conditions, _training_of, 'training', say)))


def _measure_steps(entries: Sequence[Entry], conditions: Conditions,
                   step_of: Callable[[Entry, Conditions], Callable[[], object]], what: str,
                   say: Callable[[str], None]) -> tuple[list[Timing], list[int]]:
    say(f'memory of {what}')
    memory = [peak_memory(entry.model, functools.partial(step_of, entry, conditions))
              for entry in entries]
    say(f'{what}: {conditions.warmup} + {conditions.rounds} rounds of {len(entries)} models')
    steps = {entry.name: step_of(entry, conditions) for entry in entries}
    times = time_in_turn(steps, conditions.device, conditions.rounds, conditions.warmup)
    return [times[entry.name] for entry in entries], memory


def _inference_of(entry: Entry, conditions: Conditions) -> Callable:
    return inference_step(entry.model, entry.shape, conditions.batch_size,
                          getattr(torch, conditions.dtype))


def _training_of(entry: Entry, conditions: Conditions) -> Callable:
    return training_step(entry.model, entry.cfg, entry.shape, conditions.batch_size,
                         getattr(torch, conditions.dtype), conditions.update)


def comparison_table(entries: Sequence[Entry], rows: Sequence[Row],
                     conditions: Conditions) -> TextTable:
    """One line a model.

    Args:
        entries (Sequence[Entry]): The models.
        rows (Sequence[Row]): What :func:`measure` found.
        conditions (Conditions): How.

    Returns:
        TextTable: The table.
    """
    lines = []
    for entry, row in zip(entries, rows, strict=True):
        cells = {'model': entry.name, 'view': 'x'.join(map(str, entry.shape[1:]))}
        for column, key in (('Top-1 %', 'top1'), ('Top-5 %', 'top5'), ('mean class %', 'mean1')):
            cells[column] = percent(entry.metrics, key)
        cost = row.complexity
        cells.update({
            'params M': f'{cost.parameters / 1e6:.3f}',
            'GMACs true': f'{cost.true_macs / 1e9:.3f}',
            'GMACs paper': f'{cost.paper_macs / 1e9:.3f}',
            'latency ms': f'{1e3 * row.inference.median:.2f}',
            'IQR ms': _spread(row.inference),
            'clips/s': f'{conditions.batch_size / row.inference.median:.2f}',
            'speed': f'{row.inference.speed_over(rows[0].inference):.2f}x',
            'peak MiB': f'{row.inference_memory / 2**20:.1f}'
        })
        start = rows[0].training
        if row.training is not None and row.training_memory is not None and start is not None:
            cells.update({
                'train ms': f'{1e3 * row.training.median:.2f}',
                'train IQR ms': _spread(row.training),
                'train speed': f'{row.training.speed_over(start):.2f}x',
                'train peak MiB': f'{row.training_memory / 2**20:.1f}'
            })
        lines.append(cells)
    return TextTable('Comparison', tuple(lines[0]), [tuple(cells.values()) for cells in lines],
                     words=('model', 'view'))


def explanations(conditions: Conditions, remarks: Sequence[str]) -> list[str]:
    """What stands above the table.

    Args:
        conditions (Conditions): How it was measured.
        remarks (Sequence[str]): Further lines, on accuracy for example.

    Returns:
        list[str]: Lines.
    """
    names = conditions.names()
    used = ' (autocast, weights in float32)' if conditions.dtype != 'float32' else ''
    lines = [
        f'device {names["device"]}; {names["dtype"]}{used}; batch {names["batch"]}; '
        f'threads {names["threads"]}',
        '; '.join(f'{key} {value}' for key, value in names.items()
                  if key not in ('device', 'dtype', 'batch', 'threads', 'rounds')),
        f'times: median and inter-quartile range (IQR) of {conditions.rounds} rounds, after '
        f'{conditions.warmup} not counted; in each round every model runs once, in random order',
        'latency: one batch, from normalised input to scores; speed: median over the rounds of the '
        "first row's time by this row's, above 1 is faster",
        'GMACs: one view; true = every multiply-add once, paper = as thop counts (no functional '
        'qkv, no attention products)',
        'peak: most bytes that tensors take together in PyTorch\'s allocator, weights included '
        + ('(CUDA statistics)' if conditions.device.type == 'cuda' else '(profiler trace)')
    ]
    if conditions.train:
        update = 'and optimizer step' if conditions.update else 'without the optimizer'
        lines.append(f"train: the config's data preprocessor, loss, gradients, {update}, "
                     'on random input, without hooks')
    return lines + list(remarks)


def published_tables(entries: Sequence[Entry], rows: Sequence[Row],
                     conditions: Conditions) -> list[TextTable]:
    """The paper's Tables 2 and 3, with what was measured here in columns of its own.

    Args:
        entries (Sequence[Entry]): The models; one is matched by its config's name.
        rows (Sequence[Row]): What :func:`measure` found.
        conditions (Conditions): How.

    Returns:
        list[TextTable]: Two tables; every published figure says so in its cell.
    """
    ours: dict[str, tuple[Entry, Row]] = {}
    for entry, row in zip(entries, rows, strict=True):
        ours.setdefault(Path(entry.config).stem, (entry, row))
    accuracy = []
    for known in ACCURACIES:
        own = ours.get(known.config or '')
        accuracy.append((known.system, known.modality, marked(known.top1),
                         percent(own and own[0].metrics, 'top1'), known.source))
    cost = []
    for published in COSTS:
        cells: tuple[str, ...] = (NOTHING, ) * 3
        if published.config in ours:
            row = ours[published.config][1]
            cells = (f'{row.complexity.paper_macs / 1e9:.3f}',
                     f'{row.complexity.true_macs / 1e9:.3f}', f'{1e3 * row.inference.median:.2f}')
        cost.append((published.system, marked(published.gmacs), *cells[:2],
                     marked(published.latency), cells[2], published.source))
    words = ('system', 'modality', 'source of the published')
    return [
        TextTable('Table 2 of the GAIE paper, and figures from elsewhere: Top-1 on the test part '
                  'of iMiGUE. Ours: on the clips named above',
                  ('system', 'modality', 'published Top-1 %', 'our Top-1 %', words[-1]), accuracy,
                  words),
        TextTable('Table 3 of the GAIE paper: one view, latency on an RTX 4090. Ours: latency on '
                  f'{conditions.names()["device"]}, batch {conditions.batch_size}',
                  ('system', 'published GMACs', 'our GMACs paper', 'our GMACs true',
                   'published latency ms', 'our latency ms', words[-1]), cost, words)
    ]


def percent(metrics: dict[str, float] | None, key: str) -> str:
    """An accuracy as a cell.

    Args:
        metrics (dict[str, float], optional): With ``acc/<key>`` in [0, 1].
        key (str): Which one.

    Returns:
        str: Percent, or ``-`` if there is none.
    """
    return NOTHING if metrics is None else f'{100 * metrics[f"acc/{key}"]:.2f}'


def _spread(timing: Timing) -> str:
    first, third = timing.quartiles
    return f'{1e3 * (third - first):.2f}'


def _cpu_name() -> str:
    """The processor's name where the system tells it, else its architecture."""
    info = Path('/proc/cpuinfo')
    lines = info.read_text(encoding='utf-8').splitlines() if info.exists() else []
    names = [line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()

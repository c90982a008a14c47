"""What GAIE gains on a GPU: speed, kernels and the price of the importance, one report per card."""
import functools
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch.autograd import DeviceType
from torch.profiler import profile

from ..ops import attention_with_importance
from ..ops.fused_attention import fused_attention
from ..utils.files import write_text
from .comparison import Conditions
from .latency import time_interleaved
from .plots import STYLES, save
from .steps import inference_step, training_step
from .tables import to_markdown, write_csv

MODES = {'eager': None, 'compiled': 'default', 'CUDA graphs': 'reduce-overhead'}
BATCHES = (1, 2, 8, 32)
FORWARDS = 20  # between two looks at the clock, at most
LEAST_SECONDS = .1  # between two looks, unless that takes more forward passes
Built = dict[str, tuple]  # name -> config, model on the device and shape of a view


@dataclass(frozen=True)
class Case:
    """What all models are timed in, turn by turn."""
    step: str  # 'inference' or 'training'
    mode: str  # of MODES
    precision: str  # 'float32', 'tf32' or 'bfloat16'
    batch: int


def list_cases() -> list[Case]:
    """All cases; compiling takes most of the time, so the cases that need it come last."""
    precisions = ('bfloat16', 'tf32', 'float32')
    return [*(Case('inference', 'eager', precision, batch) for precision in precisions
              for batch in BATCHES),
            *(Case('training', 'eager', precision, batch) for precision in precisions[:2]
              for batch in (2, 8)),
            *(Case('inference', mode, precision, batch) for precision in precisions
              for batch in (1, 32, 2, 8) for mode in ('CUDA graphs', 'compiled'))]


@dataclass
class Report:
    """What was measured, and what was not and why."""
    speeds: list[dict[str, str]] = field(default_factory=list)
    kernels: list[dict[str, str]] = field(default_factory=list)
    attention: list[dict[str, str]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def measure_case(case: Case, built: Built, device: torch.device,
                 rounds: int) -> list[dict[str, str]]:
    """A row per model. A step is repeated until it takes 0.1 s, 20 times at most."""
    dtype, mode = getattr(torch, case.precision.replace('tf32', 'float32')), MODES[case.mode]
    before, longest = torch.get_float32_matmul_precision(), 0.
    steps: dict[str, Callable[[], object]] = {}
    torch.set_float32_matmul_precision('high' if case.precision == 'tf32' else 'highest')
    torch._dynamo.reset()
    try:
        for name, (cfg, model, shape) in built.items():
            if mode is not None:
                model.backbone.compile(mode=mode)
            if case.step == 'training':
                steps[name] = training_step(model, cfg, shape, case.batch, dtype)
            else:
                steps[name] = inference_step(model, shape, case.batch, dtype)
            _repeat(steps[name], 3)  # compiles, and records graphs
            longest = max(longest, *time_interleaved(
                {name: steps[name]}, device, 1, 0)[name].seconds)
        repeats = max(1, min(FORWARDS, int(LEAST_SECONDS / longest)))
        times = time_interleaved({name: functools.partial(_repeat, step, repeats)
                                  for name, step in steps.items()}, device, rounds, 1)
    finally:
        torch.set_float32_matmul_precision(before)
        for _, model, _ in built.values():
            model.backbone._compiled_call_impl = None
            model.zero_grad(set_to_none=True)
    first = times[next(iter(built))]
    return [{**{key: str(value) for key, value in asdict(case).items()}, 'model': name,
             'ms': f'{1e3 * timing.median / repeats:.3f}',
             'clips/s': f'{case.batch * repeats / timing.median:.1f}',
             'speed': f'{timing.speed_over(first):.3f}'} for name, timing in times.items()]


def _repeat(step: Callable[[], object], times: int) -> None:
    for _ in range(times):
        torch.compiler.cudagraph_mark_step_begin()
        step()


def count_kernels(built: Built) -> list[dict[str, str]]:
    """A row per model: kernels of an eager forward pass of one clip in bfloat16."""
    rows = []
    for name, (_, model, shape) in built.items():
        step = inference_step(model, shape, 1, torch.bfloat16)
        step()
        with profile() as profiler:
            step()
        kernels = [event for event in profiler.events() if event.device_type == DeviceType.CUDA
                   and not event.name.startswith(('Memcpy', 'Memset'))]
        rows.append({'model': name, 'kernels': str(len(kernels))})
    return rows


def time_attention(batches: Iterable[int], device: torch.device, rounds: int,
                   shape: tuple[int, int, int] = (12, 1568, 64)) -> list[dict[str, str]]:
    """Rows of one attention, ``(h, N, d)``: fused, with importance, and column means alone."""
    rows = []
    for batch in batches:
        for dtype in (torch.bfloat16, torch.float32):
            heads, num_tokens, dims = shape
            qkv = torch.randn(batch, num_tokens, 3, heads, dims, device=device, dtype=dtype)
            calls = _attentions(*qkv.permute(2, 0, 3, 1, 4))
            for call in calls.values():
                call()  # compiles
            times = time_interleaved({name: functools.partial(_repeat, call, FORWARDS)
                                      for name, call in calls.items()}, device, rounds)
            rows += [{'batch': str(batch), 'dtype': str(dtype).removeprefix('torch.'),
                      'what': name, 'ms': f'{1e3 * timing.median / FORWARDS:.4f}',
                      'of fused': f'{1 / timing.speed_over(times["fused attention"]):.3f}'}
                     for name, timing in times.items()]
    return rows


def _attentions(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> dict[str, Callable]:
    scale = q.shape[-1]**-.5
    calls: dict[str, Callable] = {
        'fused attention': lambda: F.scaled_dot_product_attention(q, k, v),
        'with importance': lambda: attention_with_importance(q, k, v)}
    if q.device.type == 'cuda':
        from ..ops import triton_attention
        if triton_attention.is_supported(q):
            log_sum = fused_attention(q, k, v, None, scale)[1]
            calls['column means'] = lambda: triton_attention.triton_column_mean(
                q, k, log_sum, None, scale)
        if find_spec('flash_colreduce') is not None:
            from flash_colreduce import flash_colreduce
            calls['flash-colreduce'] = lambda: flash_colreduce(q, k, reduction='mean')
    return calls


def measure(built: Built, device: torch.device, say: Callable[[str], None], *,
            cases: Iterable[Case], seconds: float, rounds: int = 5,
            clock: Callable[[], float] = time.monotonic) -> Report:
    """Measure everything that can be had in ``seconds``; the report names what could not."""
    report, start = Report(), clock()
    durations = {False: 10., True: 60.}  # of the longest job so far, by whether it compiles
    jobs: list[tuple[str, bool, list, Callable[[], list]]] = [
        ('kernels', False, report.kernels, lambda: count_kernels(built)),
        ('attention', False, report.attention, lambda: time_attention((1, 8, 32), device, rounds))]
    jobs += [(' '.join(map(str, asdict(case).values())), MODES[case.mode] is not None,
              report.speeds, functools.partial(measure_case, case, built, device, rounds))
             for case in cases]
    for name, compiles, rows, action in jobs:
        began = clock()
        if began - start + durations[compiles] > seconds:
            report.left_out.append(f'{name}: no time left')
            continue
        say(name)
        try:
            rows += action()
        except (RuntimeError, ValueError, ImportError) as error:  # out of memory, above all
            reason = (str(error).splitlines() or [''])[0]
            report.left_out.append(f'{name}: {type(error).__name__}: {reason}')
            if device.type == 'cuda':
                torch.cuda.empty_cache()
        durations[compiles] = max(durations[compiles], clock() - began)
    return report


def write_report(report: Report, conditions: Conditions, folder: Path, notes: Iterable[str]
                 ) -> None:
    """Write a csv per table, ``report.md`` and ``speed.png`` into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = conditions.names()
    lines = [f'# {facts["device"]}', '', *(f'- {key}: {value}' for key, value in facts.items()),
             *(f'- {note}' for note in notes)]
    for name in ('speeds', 'kernels', 'attention'):
        frame = pd.DataFrame(getattr(report, name))
        if len(frame):
            write_csv(frame, folder / f'{name}.csv')
            lines += ['', f'## {name.capitalize()}', '', to_markdown(frame)]
    if report.left_out:
        lines += ['', '## Not measured', '', *(f'- {line}' for line in report.left_out)]
    write_text(folder / 'report.md', '\n'.join(lines) + '\n')
    if report.speeds:
        _draw(pd.DataFrame(report.speeds), folder / 'speed.png', facts['device'])


def _draw(frame: pd.DataFrame, path: Path, title: str) -> None:
    """Speed over the first model by batch size: a panel per step and precision."""
    frame = frame.astype(dict(batch=int, speed=float))
    panels: Any = list(frame.groupby(['step', 'precision'], sort=False))
    names = list(dict.fromkeys(frame['model']))
    figure = Figure((4. * len(panels), 4.), dpi=150, layout='constrained')
    for axes, (key, part) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels):
        for name, style in zip(names, STYLES):
            for mode, line in zip(MODES, (':', '--', '-')):
                mine = part[(part['model'] == name) & (part['mode'] == mode)].sort_values('batch')
                axes.plot(mine['batch'], mine['speed'], line, **style, label=f'{name}, {mode}')
        axes.set(title=', '.join(key), xlabel='batch size', ylabel=f'speed, {names[0]} = 1',
                 xscale='log')
        axes.set_xticks(BATCHES, list(map(str, BATCHES)))
    save(figure, path, title)

"""Peak memory of a step, defined alike on CPU and GPU: what PyTorch's allocator holds."""
import json
import os
import tempfile
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

# the profiler's note of each start and stop is for tracers; read at the first profile
os.environ.setdefault('KINETO_LOG_LEVEL', '6')
RUNS = 2  # optimizers allocate their state in the first step


def peak_memory(model: nn.Module, make_step: Callable[[], Callable]) -> int:
    """Most bytes that all tensors of a step hold together, on the device of the model.

    These are weights, input, activations, gradients, optimizer state and the operators' own
    buffers; not Python, libraries, and memory that they get past PyTorch. ``make_step`` makes a
    fresh step, with its input and optimizer.
    """

    def action() -> None:
        step = make_step()
        for _ in range(RUNS):
            step()
        model.zero_grad(set_to_none=True)

    weights = sum(tensor.numel() * tensor.element_size()
                  for tensor in chain(model.parameters(), model.buffers()))
    device = next(model.parameters()).device
    if device.type != 'cuda':
        return weights + _cpu_growth(action)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    action()
    return weights + torch.cuda.max_memory_allocated(device) - before


def _cpu_growth(action: Callable[[], None]) -> int:
    """Follow each block from its allocation to its release in the profiler's trace."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        action()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'trace.json'
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding='utf-8'))['traceEvents']
    events = [event['args'] for event in events if event.get('name') == '[memory]']
    held, now, peak = {}, 0, 0
    for event in sorted(events, key=lambda event: event['Ev Idx']):
        if event['Bytes'] > 0:
            held[event['Addr']] = event['Bytes']
            now += event['Bytes']
        else:  # a block from before the session is not in its growth
            now -= held.pop(event['Addr'], 0)
        peak = max(peak, now)
    return peak

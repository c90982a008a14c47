"""Time of a forward pass, with all models meeting the same machine noise."""
import statistics
import time
from typing import Dict

import torch
from torch import Tensor, nn


@torch.no_grad()
def measure_latency(models: Dict[str, nn.Module],
                    inputs: Tensor,
                    runs: int = 15) -> Dict[str, float]:
    """Median time of each model, in turn within each of the runs.

    Args:
        models (dict[str, nn.Module]): Recognizers in evaluation mode, on the inputs' device.
        inputs (Tensor): ``(B, views, C, T, H, W)``.
        runs (int): Counted runs, after two that are not. Defaults to 15.

    Returns:
        dict[str, float]: Milliseconds per clip, ``1 / B`` of a pass.
    """
    times = {name: [] for name in models}
    for run in range(runs + 2):
        for name, model in models.items():
            _synchronize(inputs)
            start = time.perf_counter()
            model(inputs, stage='head')
            _synchronize(inputs)
            if run >= 2:
                times[name].append((time.perf_counter() - start) * 1e3 / len(inputs))
    return {name: statistics.median(values) for name, values in times.items()}


def _synchronize(inputs: Tensor) -> None:
    if inputs.is_cuda:
        torch.cuda.synchronize(inputs.device)

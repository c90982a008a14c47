"""Time several models interleaved, so that all meet the same machine noise."""
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Timing:
    """Times of one model: seconds, one per round."""
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """float: Seconds."""
        return statistics.median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """tuple[float]: First and third quartile, seconds, linear between two rounds."""
        first, third = np.percentile(self.seconds, (25, 75))
        return float(first), float(third)

    def speed_over(self, other: 'Timing') -> float:
        """Median over the rounds of the other's time by this one's; above 1 is faster.

        What slows down a whole round cancels out. Both need the same rounds.
        """
        return statistics.median(
            theirs / own for theirs, own in zip(other.seconds, self.seconds, strict=True))


def time_interleaved(steps: dict[str, Callable[[], object]], device: torch.device,
                     rounds: int = 15, warmup: int = 2, seed: int = 0,
                     clock: Callable[[], float] = time.perf_counter) -> dict[str, Timing]:
    """Run each step once per round, in a new random order each time.

    ``warmup`` rounds come first and are not counted. ``clock`` returns seconds.
    """
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    order, draw = list(steps), random.Random(seed)
    for number in range(warmup + rounds):
        draw.shuffle(order)
        for name in order:
            wait_for(device)
            start = clock()
            steps[name]()
            wait_for(device)
            if number >= warmup:
                seconds[name].append(clock() - start)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has finished its queue; return at once on a CPU."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)

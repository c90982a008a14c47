"""Interleaved times: what is run, in which order, and the arithmetic, on a clock of our own."""
from functools import partial

import numpy as np
import pytest
import torch

from gaie_mmaction.benchmark import Timing, time_interleaved

CPU = torch.device('cpu')


def run(durations, rounds, **options):
    """Steps whose n-th run takes ``durations[name][n]`` seconds; returns calls and timings."""
    now, calls, left = [0.], [], {name: iter(values) for name, values in durations.items()}

    def step(name):
        calls.append(name)
        now[0] += next(left[name])

    timings = time_interleaved({name: partial(step, name) for name in durations}, CPU, rounds,
                               clock=lambda: now[0], **options)
    return calls, timings


def test_each_model_once_a_round_in_changing_order():
    durations = {name: [1.] * 42 for name in 'abc'}
    calls, timings = run(durations, 40, warmup=2)
    orders = [tuple(calls[start:start + 3]) for start in range(0, len(calls), 3)]
    assert len(orders) == 42 and all(sorted(order) == list('abc') for order in orders)
    assert len(set(orders)) == 6  # all of them
    assert all(timing.seconds == (1., ) * 40 for timing in timings.values())
    assert run(durations, 40, warmup=2)[0] == calls  # the same seed
    assert run(durations, 40, warmup=2, seed=1)[0] != calls


def test_medians_without_the_warmup():
    _, timings = run(dict(a=[100, 100, 5, 1, 3, 2, 4], b=[100, 100, 7, 7, 9, 7, 1]), 5)
    assert timings['a'].seconds == (5, 1, 3, 2, 4)
    assert timings['a'].median == 3 and timings['b'].median == 7
    assert timings['a'].quartiles == (2, 4) and timings['b'].quartiles == (7, 7)


def test_quartiles_are_numpys():
    values = tuple(np.random.default_rng(0).random(10))
    assert Timing(values).quartiles == pytest.approx(np.percentile(values, (25, 75)))
    assert Timing((2., )).quartiles == (2., 2.)


def test_what_slows_a_round_down_cancels_out():
    noise = np.random.default_rng(0).uniform(1, 50, 7)
    plain, fast = Timing(tuple(1.6 * noise)), Timing(tuple(noise))
    assert fast.speed_over(plain) == pytest.approx(1.6)
    assert plain.speed_over(fast) == pytest.approx(1 / 1.6)
    assert plain.speed_over(plain) == 1
    # the median of the rounds' ratios, not the ratio of the medians
    assert Timing((1., 2., 4.)).speed_over(Timing((8., 2., 2.))) == 1
    with pytest.raises(ValueError):  # other rounds
        fast.speed_over(Timing((1., 2.)))

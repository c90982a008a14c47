"""How fast one worker loads clips, beside plain decord."""
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import decord
import numpy as np
from mmaction.registry import TRANSFORMS
from mmengine.registry import init_default_scope

CLIP_LEN = 16
PIPELINE = (dict(type='ClipInit'), dict(type='UniformSample', clip_len=CLIP_LEN, test_mode=True),
            dict(type='ClipDecode'))


def measure_loading(clips: list[dict], folder: Path, rounds: int) -> dict[str, float]:
    """Load every clip ``rounds`` times both ways, interleaved so that noise meets both.

    Returns:
        dict[str, float]: Median seconds per clip of ``first`` (which scans the packets of a video
        once per process), ``ours`` and ``decord``, the median ``ratio`` decord / ours, and the
        number of ``differing`` frames.
    """
    init_default_scope('mmaction')
    steps = [TRANSFORMS.build(dict(step)) for step in PIPELINE]

    def load(clip: dict) -> dict:
        results = dict(clip, filename=str(folder / clip['video']), start_index=0)
        for step in steps:
            results = step(results)
        return results

    def load_by_decord(results: dict) -> np.ndarray:
        reader = decord.VideoReader(results['filename'], num_threads=1)
        return reader.get_batch(results['frame_inds']).asnumpy()

    first, ours, others, differing = [], [], [], 0
    for clip in clips:
        first.append(_timed(load, clip)[1])
        seconds = np.empty((rounds, 2))
        for k in range(rounds):
            results, seconds[k, 0] = _timed(load, clip)
            images, seconds[k, 1] = _timed(load_by_decord, results)
        differing += sum(not np.array_equal(a, b) for a, b in zip(images, results['imgs']))
        own, other = np.median(seconds, axis=0)
        ours.append(own)
        others.append(other)
    return dict(first=float(np.median(first)), ours=float(np.median(ours)),
                decord=float(np.median(others)),
                ratio=float(np.median(np.divide(others, ours))), differing=differing)


def _timed(function: Callable, argument: Any) -> tuple[Any, float]:
    before = time.perf_counter()
    result = function(argument)
    return result, time.perf_counter() - before

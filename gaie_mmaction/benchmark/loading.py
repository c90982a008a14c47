"""How fast one worker loads clips, beside plain decord."""
import time
from pathlib import Path

import decord
import numpy as np
import pandas as pd
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

    rows, differing = [], 0
    for clip in clips:
        times = [time.perf_counter()]
        load(clip)
        times.append(time.perf_counter())
        for _ in range(rounds):
            results = load(clip)
            times.append(time.perf_counter())
            images = load_by_decord(results)
            times.append(time.perf_counter())
        first, *seconds = np.diff(times)
        rows.append((first, np.median(seconds[::2]), np.median(seconds[1::2])))
        differing += sum(not np.array_equal(a, b) for a, b in zip(images, results['imgs']))
    table = pd.DataFrame(rows, columns=['first', 'ours', 'decord'])
    table['ratio'] = table['decord'] / table['ours']
    return dict(table.median(), differing=differing)

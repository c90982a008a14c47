"""How fast one worker loads clips, beside plain decord."""
import time
from pathlib import Path

import decord
import numpy as np
import pandas as pd
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

CLIP_LEN = 16
LOADING = (dict(type='ClipInit'), dict(type='UniformSample', clip_len=CLIP_LEN, test_mode=True),
           dict(type='ClipDecode'))
# as in configs/_base_/datasets/imigue.py
TRANSFORMING = (
    dict(type='Resize', scale=(256, 256), keep_ratio=False), dict(type='RandomCrop', size=224),
    dict(type='FormatShape', input_format='NCTHW'), dict(type='PackActionInputs'))


def measure_loading(clips: list[dict], folder: Path, rounds: int) -> dict[str, float]:
    """Load every clip ``rounds`` times both ways, interleaved so that noise meets both.

    Returns medians over the clips, in seconds of processor time, which other processes do not
    lengthen: ``first`` (scans the packets of a video once per process), ``ours``, ``transforms``
    (resizing to packing, after ours), and ``decord``; the ``ratio`` decord / ours; and the number
    of ``differing`` frames.
    """
    init_default_scope('mmaction')
    load, transform = Compose(LOADING), Compose(TRANSFORMING)
    rows, differing = [], 0
    for clip in clips:
        path = str(folder / clip['video'])
        times = [time.process_time()]
        load(dict(clip, filename=path, start_index=0))
        times.append(time.process_time())
        for _ in range(rounds):
            results = load(dict(clip, filename=path, start_index=0))
            times.append(time.process_time())
            frames, frame_inds = results['imgs'], results['frame_inds']
            transform(results)
            times.append(time.process_time())
            images = decord.VideoReader(path, num_threads=1).get_batch(frame_inds).asnumpy()
            times.append(time.process_time())
        first, *seconds = np.diff(times)
        rows.append((first, *(np.median(seconds[k::3]) for k in range(3))))
        differing += sum(not np.array_equal(a, b) for a, b in zip(images, frames))
    table = pd.DataFrame(rows, columns=['first', 'ours', 'transforms', 'decord'])
    table['ratio'] = table['decord'] / table['ours']
    return dict(table.median(), differing=differing)

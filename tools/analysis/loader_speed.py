"""Measure how fast one worker loads clips, from whole videos and from cut clips.

Plain decord reads the same frames of the same files beside it, in turn, so that both meet the
same noise of the machine. DATA is a folder of tools/data/prepare_imigue.py; with
--cut there, the cut clips are measured as well. A median over all clips; the first
opening of a video, which reads its packets once a process, is given apart.
"""
import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')

import decord  # noqa: E402
import numpy as np  # noqa: E402
from mmaction.registry import TRANSFORMS  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

import gaie_mmaction  # noqa: E402,F401
from gaie_mmaction.datasets.annotations import read_annotations  # noqa: E402
from gaie_mmaction.datasets.imigue_classes import IMIGUE_CLASSES  # noqa: E402

PIPELINE = (dict(type='ClipInit'), dict(type='UniformSample', clip_len=16, test_mode=True),
            dict(type='ClipDecode'))


def load(pipeline: list[Callable], clip: dict, folder: Path) -> tuple[dict, float]:
    """A clip through the transforms, and the seconds that it took."""
    results = dict(clip, filename=str(folder / clip['video']), start_index=0)
    before = time.perf_counter()
    for transform in pipeline:
        results = transform(results)
    return results, time.perf_counter() - before


def load_by_decord(filename: str, frame_inds: np.ndarray) -> tuple[np.ndarray, float]:
    """The same frames by decord alone, and the seconds."""
    before = time.perf_counter()
    images = decord.VideoReader(filename, num_threads=1).get_batch(frame_inds).asnumpy()
    return images, time.perf_counter() - before


def measure(clips: list[dict], folder: Path, rounds: int) -> dict[str, float]:
    """Seconds by name; every clip is loaded ``rounds`` times each way.

    Returns:
        dict[str, float]: Medians of ``first``, ``ours`` and ``decord``, the median of the clips'
        ratios as ``ratio``, and ``differing``, how many frames are not the same.
    """
    init_default_scope('mmaction')
    pipeline = [TRANSFORMS.build(dict(step)) for step in PIPELINE]
    first, ours, others, differing = [], [], [], 0
    for clip in clips:
        results, seconds = load(pipeline, clip, folder)
        first.append(seconds)
        mine, theirs = [], []
        for _ in range(rounds):
            results, seconds = load(pipeline, clip, folder)
            mine.append(seconds)
            images, seconds = load_by_decord(results['filename'], results['frame_inds'])
            theirs.append(seconds)
        differing += sum(not np.array_equal(a, b) for a, b in zip(images, results['imgs']))
        ours.append(np.median(mine))
        others.append(np.median(theirs))
    return dict(first=float(np.median(first)), ours=float(np.median(ours)),
                decord=float(np.median(others)),
                ratio=float(np.median(np.divide(others, ours))), differing=differing)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', type=Path, help='folder of tools/data/prepare_imigue.py')
    parser.add_argument('--clips', type=int, default=50, help='how many (default: 50)')
    parser.add_argument('--rounds', type=int, default=7, help='of each clip (default: 7)')
    args = parser.parse_args()
    sources = {'whole videos': ('trainval.csv', 'videos')}
    if (args.data / 'clips').is_dir():
        sources['cut clips'] = ('trainval.txt', 'clips')
    table = Table(title=f'Loading 16 frames a clip, one worker, medians of {args.clips} clips, '
                  f'{args.rounds} rounds in turn')
    for name in ('from', 'clips/s', 'frames/s', 'decord clips/s', 'ours / decord',
                 'first opening, ms', 'frames that differ'):
        table.add_column(name, justify='left' if name == 'from' else 'right')
    for name, (ann_file, folder) in sources.items():
        try:
            clips = read_annotations(str(args.data / ann_file), len(IMIGUE_CLASSES))
        except (FileNotFoundError, ValueError) as error:
            sys.exit(str(error))
        chosen = np.random.default_rng(0).permutation(len(clips))[:args.clips]
        found = measure([clips[k] for k in chosen], args.data / folder, args.rounds)
        table.add_row(name, f'{1 / found["ours"]:.1f}', f'{16 / found["ours"]:.0f}',
                      f'{1 / found["decord"]:.1f}', f'{found["ratio"]:.2f}',
                      f'{1000 * found["first"]:.1f}', str(found['differing']))
    Console(width=110).print(table)


if __name__ == '__main__':
    main()

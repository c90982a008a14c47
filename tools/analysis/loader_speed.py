"""Measure how fast one worker loads clips, from whole videos and from cut clips.

DATA is a folder of tools/data/prepare_imigue.py; with --cut there, the cut clips are measured as
well. Plain decord reads the same frames beside it, in turn. Medians over all clips; the first
opening of a video, which reads its packets once per process, is a column of its own.
"""
import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')

import numpy as np  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Column, Table  # noqa: E402

from gaie_mmaction.benchmark.loading import CLIP_LEN, measure_loading  # noqa: E402
from gaie_mmaction.datasets.annotations import read_annotations  # noqa: E402
from gaie_mmaction.datasets.imigue_classes import IMIGUE_CLASSES  # noqa: E402

COLUMNS = ('clips/s', 'frames/s', 'decord clips/s', 'ours / decord', 'first opening, ms',
           'frames that differ')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', type=Path, help='folder of tools/data/prepare_imigue.py')
    parser.add_argument('--clips', type=int, default=50, help='how many (default: 50)')
    parser.add_argument('--rounds', type=int, default=7, help='of each clip (default: 7)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    sources = {'whole videos': ('trainval.csv', 'videos')}
    if (args.data / 'clips').is_dir():
        sources['cut clips'] = ('trainval.txt', 'clips')
    table = Table('from', *(Column(name, justify='right') for name in COLUMNS),
                  title=f'Loading {CLIP_LEN} frames per clip, one worker, medians of '
                  f'{args.clips} clips, {args.rounds} rounds in turn')
    for name, (ann_file, folder) in sources.items():
        try:
            clips = read_annotations(str(args.data / ann_file), len(IMIGUE_CLASSES))
        except (FileNotFoundError, ValueError) as error:
            sys.exit(str(error))
        chosen = np.random.default_rng(0).permutation(len(clips))[:args.clips]
        found = measure_loading([clips[k] for k in chosen], args.data / folder, args.rounds)
        table.add_row(name, f'{1 / found["ours"]:.1f}', f'{CLIP_LEN / found["ours"]:.0f}',
                      f'{1 / found["decord"]:.1f}', f'{found["ratio"]:.2f}',
                      f'{1000 * found["first"]:.1f}', f'{found["differing"]:.0f}')
    Console(width=110).print(table)


if __name__ == '__main__':
    main()

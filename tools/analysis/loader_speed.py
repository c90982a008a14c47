"""Measure how fast one worker loads clips, from whole videos and from cut clips.

DATA is a folder of tools/data/prepare_imigue.py; with --cut there, the cut clips are measured as
well. Plain decord reads the same frames beside it, in turn. Medians over all clips of processor
time; the first opening of a video, which reads its packets once per process, is a column of its
own. A worker also resizes, crops and packs, which the numbers of workers include.
"""
import math
import os
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from gaie_mmaction.benchmark import print_table  # noqa: E402
from gaie_mmaction.benchmark.loading import CLIP_LEN, measure_loading  # noqa: E402
from gaie_mmaction.datasets.annotations import read_annotations  # noqa: E402
from gaie_mmaction.datasets.imigue_classes import IMIGUE_CLASSES  # noqa: E402
from gaie_mmaction.synthetic.footage import make_footage  # noqa: E402
from gaie_mmaction.utils.command_line import Namespace, exit_on, tool_parser


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('data', type=Path, help='folder of tools/data/prepare_imigue.py')
    parser.add_argument('--clips', type=int, default=50, help='number of clips (default: 50)')
    parser.add_argument('--rounds', type=int, default=7, help='rounds per clip (default: 7)')
    parser.add_argument('--gpu-rate', type=float, nargs='+', default=[100, 400], metavar='CLIPS/S',
                        help='say how many workers feed a GPU that takes so many (default: 100 '
                        '400); tools/analysis/compare.py measures it')
    parser.add_argument('--synthetic', type=int, metavar='SECONDS', help='first write a 1280x720 '
                        'video of this length and clips cut from it into DATA, if it is missing')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cv2.setNumThreads(0)  # as in a worker
    if args.synthetic and not args.data.exists():
        make_footage(args.data, args.synthetic, args.clips)
    sources = {'whole videos': ('trainval.csv', 'videos')}
    if (args.data / 'clips').is_dir():
        sources['cut clips'] = ('trainval.txt', 'clips')
    rows = []
    for name, (ann_file, folder) in sources.items():
        with exit_on(FileNotFoundError, ValueError):
            clips = read_annotations(str(args.data / ann_file), len(IMIGUE_CLASSES))
        chosen = np.random.default_rng(0).permutation(len(clips))[:args.clips]
        found = measure_loading([clips[k] for k in chosen], args.data / folder, args.rounds)
        whole = found['ours'] + found['transforms']
        rows.append({
            'from': name,
            'clips/s': f'{1 / found["ours"]:.1f}',
            'decord clips/s': f'{1 / found["decord"]:.1f}',
            'ours / decord': f'{found["ratio"]:.2f}',
            'first opening, ms': f'{1000 * found["first"]:.1f}',
            'frames that differ': f'{found["differing"]:.0f}',
            'with transforms': f'{1 / whole:.1f}',
            **{f'workers for {rate:g}/s': str(math.ceil(rate * whole)) for rate in args.gpu_rate}})
    print_table(pd.DataFrame(rows), f'Loading {CLIP_LEN} frames per clip, one worker, medians of '
                f'{args.clips} clips, {args.rounds} rounds in turn')


if __name__ == '__main__':
    main()

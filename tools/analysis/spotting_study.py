"""Train and test the temporal detector on the untrimmed hand-joint streams of SFINGE 3D.

Prints F1 at overlap 0.3 and 0.5 of each seed, on each half of the streams, with the score threshold
that is best on the other half. Run again, it continues.
"""
import os
from pathlib import Path

from gaie_mmaction.benchmark.spotting_study import run_spotting_study
from gaie_mmaction.utils.command_line import Namespace, exit_on, tool_parser


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('data', type=Path, help='sfinge3d.npz: clips, streams and segments')
    parser.add_argument('--out', type=Path, default='work_dirs/sfinge3d',
                        help='default: %(default)s')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2], help='default: 0 1 2')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    data, out = args.data.resolve(), args.out.resolve()
    os.chdir(Path(__file__).resolve().parents[2])  # paths in the configs are relative to it
    with exit_on(ChildProcessError, FileNotFoundError, ValueError):
        results = run_spotting_study(data, out, args.seeds)
    print(results.round(3).to_string(index=False))
    means = results.groupby(['overlap', 'seed']).f1.mean().groupby('overlap')
    for overlap, (mean, spread) in means.agg(['mean', 'std']).iterrows():
        print(f'overlap {overlap}: F1 {mean:.3f}, standard deviation over seeds {spread:.3f}')


if __name__ == '__main__':
    main()

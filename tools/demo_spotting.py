"""Spotting on a synthetic dataset: window classifier and temporal detector, F1 and timeline."""
from pathlib import Path

from gaie_mmaction.apis.spotting_demo import run_spotting_demo
from gaie_mmaction.apis.training import run_demo
from gaie_mmaction.utils.command_line import Namespace, tool_parser

DATA, WORK = Path('data/demo_spotting'), Path('work_dirs/demo_spotting')
PLAIN_WORK = Path('work_dirs/demo_spotting_plain')


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('--no-reducer', action='store_true', help='the plain ViT instead of GAIE')
    return parser.parse_args()


def main() -> None:
    plain = parse_args().no_reducer
    work = PLAIN_WORK if plain else WORK
    lines = run_spotting_demo(DATA, work, ['model.backbone.neck=None'] if plain else ())
    print(f'\nF1 on unseen people\n  {lines["window classifier"]}\n  {lines["temporal detector"]}\n'
          f'segments, logs and checkpoints: {work}\ntimeline: {work}/timeline.png')


if __name__ == '__main__':
    run_demo(main, __file__)

"""Spotting on a synthetic dataset: window classifier and temporal detector, F1 and timeline."""
import argparse
from pathlib import Path

from gaie_mmaction.apis.spotting_demo import run_spotting_demo
from gaie_mmaction.apis.training import run_demo

DATA = Path('data/demo_spotting')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument('--no-reducer', action='store_true', help='the plain ViT instead of GAIE')
    plain = parser.parse_args().no_reducer
    work = Path('work_dirs/demo_spotting_plain' if plain else 'work_dirs/demo_spotting')
    lines = run_spotting_demo(DATA, work, ['model.backbone.neck=None'] if plain else ())
    print(f'\nF1 on unseen people\n  {lines["window classifier"]}\n  {lines["temporal detector"]}\n'
          f'segments, logs and checkpoints: {work}\ntimeline: {work}/timeline.png')


if __name__ == '__main__':
    run_demo(main, __file__)

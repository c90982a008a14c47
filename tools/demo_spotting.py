"""Spotting on a synthetic dataset: window classifier and temporal detector, F1 and timeline."""
import argparse
from pathlib import Path

from gaie_mmaction.apis.spotting_demo import run_spotting_demo
from gaie_mmaction.apis.training import run_demo

DATA, WORK = Path('data/demo_spotting'), Path('work_dirs/demo_spotting')


def main() -> None:
    argparse.ArgumentParser(description=__doc__, allow_abbrev=False).parse_args()
    lines = run_spotting_demo(DATA, WORK)
    print(f'\nF1 on unseen people\n  {lines["window classifier"]}\n  {lines["temporal detector"]}\n'
          f'segments, logs and checkpoints: {WORK}\ntimeline: {WORK}/timeline.png')


if __name__ == '__main__':
    run_demo(main, __file__)

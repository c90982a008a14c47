"""Spotting on a synthetic dataset: window classifier and temporal detector, F1 and timeline."""
import argparse
import os
import sys
from pathlib import Path

from gaie_mmaction.apis.spotting_demo import run_spotting_demo

DATA, WORK = Path('data/demo_spotting'), Path('work_dirs/demo_spotting')


def main() -> None:
    argparse.ArgumentParser(description=__doc__, allow_abbrev=False).parse_args()
    os.chdir(Path(__file__).resolve().parents[1])  # paths in the configs are relative to it
    lines = run_spotting_demo(DATA, WORK)
    print(f'\nF1 on unseen people\n  {lines["window classifier"]}\n  {lines["temporal detector"]}\n'
          f'segments, logs and checkpoints: {WORK}\ntimeline: {WORK}/timeline.png')


if __name__ == '__main__':
    try:
        main()
    except ChildProcessError as error:
        sys.exit(f'the demo stopped: {error}')

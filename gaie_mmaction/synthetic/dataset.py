"""The synthetic dataset, ready for training."""
import os
from pathlib import Path

from ..release import prepare
from ..utils.files import write_text
from .release import CAUTION, GAP_FRAMES, make_release

SUBJECTS = dict(train=24, validate=2, test=8)


def draw_dataset(data: str | Path, *, subjects: dict[str, int] | None = None,
                 difficulty: str = 'normal', seed: int = 0,
                 gap_frames: tuple[int, int] = GAP_FRAMES, redraw: bool = False) -> None:
    """Draw a synthetic release into ``<data>_release`` and prepare it in ``data``, once or anew.

    ``subjects`` is their number per part, by default 24, 2 and 8; ``difficulty`` a key of
    ``DIFFICULTIES``; another ``seed`` gives other people and clips; ``gap_frames`` is the fewest
    and most frames between two gestures.
    """
    if Path(data, 'test.csv').exists() and not redraw:
        return
    release, workers = Path(f'{data}_release'), os.cpu_count() or 1
    make_release(release, seed, subjects or SUBJECTS, 3, workers, difficulty,
                 gap_frames=gap_frames)
    prepare(release, Path(data), test_labels=release / 'test_answers.csv', workers=workers)
    write_text(Path(data, 'caution.txt'), CAUTION)

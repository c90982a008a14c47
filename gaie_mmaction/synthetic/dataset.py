"""The synthetic dataset, ready for training."""
import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / 'tools' / 'data'


def draw_dataset(data: str | Path, *options: str, redraw: bool = False) -> None:
    """Draw the synthetic release into ``<data>_release`` and prepare it.

    Args:
        data (str or Path): Folder of the prepared dataset.
        *options (str): Options of ``make_demo_release.py``.
        redraw (bool): Whether to replace what is there already. Defaults to False.

    Raises:
        CalledProcessError: If a step fails; its messages are on the terminal.
    """
    if Path(data, 'test.csv').exists() and not redraw:
        return
    release = f'{data}_release'
    for tool, *arguments in (
            ('make_demo_release.py', release, '--overwrite', *options),
            ('prepare_imigue.py', release, '--out', str(data), '--test-labels',
             f'{release}/test_answers.csv')):
        subprocess.run([sys.executable, str(TOOLS / tool), *arguments], check=True)

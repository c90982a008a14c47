"""One table in three forms: printed by rich, written by pandas as csv, and as markdown.

Cells are text that is already formatted, so that all forms say the same.
"""
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from ..utils.files import atomic_file

UNBOUNDED = 10_000  # columns of a terminal


def print_table(frame: pd.DataFrame, title: str, console: Console) -> None:
    """Print a table, split below each other where the terminal is too narrow.

    Args:
        frame (pd.DataFrame): Cells as text; the first column names the rows, and each piece
            repeats it.
        title (str): Line above the table.
        console (Console): Where to.
    """
    console.print(f'\n{title}', highlight=False, markup=False)
    options = console.options.update(max_width=UNBOUNDED)
    start, end = 1, len(frame.columns)
    while start < len(frame.columns):
        piece = _rich_table(frame.iloc[:, [0, *range(start, end)]])
        too_wide = Measurement.get(console, options, piece).maximum > console.width
        if too_wide and end > start + 1:
            end -= 1
            continue
        console.print(piece)
        start, end = end, len(frame.columns)


def _rich_table(frame: pd.DataFrame) -> Table:
    table = Table()
    for name, is_figure in zip(frame.columns, _figures(frame)):
        # one word per line in the head, so that the figures decide the width
        table.add_column(name.replace(' ', '\n'), no_wrap=True,
                         justify='right' if is_figure else 'left')
    for row in frame.itertuples(index=False):
        table.add_row(*map(escape, row))
    return table


def _figures(frame: pd.DataFrame) -> list[bool]:
    """For each column, whether it holds numbers."""
    return [bool(frame[name].str.match(r'[+-]?\d[\d.e+-]*x?( ± [\d.]+)?$|$|-$').all())
            for name in frame]


def to_markdown(frame: pd.DataFrame) -> str:
    """str: The table in GitHub's markdown; figures on the right."""
    marks = ['--:' if is_figure else '---' for is_figure in _figures(frame)]
    rows = [[cell.replace('|', '\\|') for cell in row]
            for row in (frame.columns, marks, *frame.itertuples(index=False))]
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write the table as csv, whole or not at all."""
    with atomic_file(path) as partial:
        frame.to_csv(partial, index=False, lineterminator='\n')

"""One table in three forms: printed by rich, as csv by pandas, and as markdown.

Cells are text that is formatted already, so that all forms say the same.
"""
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from ..utils.files import atomic_file

FIGURE = r'(?:[+-]?\d[\d.e+-]*x?|-|)$'


def print_table(frame: pd.DataFrame, title: str, console: Console | None = None) -> None:
    """Print a table, in pieces that each repeat the first column if the terminal is narrow."""
    console = console or Console()
    console.print(f'\n{title}', highlight=False, markup=False)
    unbounded = console.options.update(max_width=10_000)
    start, end = 1, len(frame.columns)
    while start < len(frame.columns):
        piece = _rich_table(frame.iloc[:, [0, *range(start, end)]])
        too_wide = Measurement.get(console, unbounded, piece).maximum > console.width
        if too_wide and end > start + 1:
            end -= 1
        else:
            console.print(piece)
            start, end = end, len(frame.columns)


def _rich_table(frame: pd.DataFrame) -> Table:
    table = Table()
    for name in frame:
        # one word per line in the head, so that the figures decide the width
        table.add_column(name.replace(' ', '\n'), no_wrap=True,
                         justify='right' if frame[name].str.match(FIGURE).all() else 'left')
    for row in frame.itertuples(index=False):
        table.add_row(*map(escape, row))
    return table


def to_markdown(frame: pd.DataFrame) -> str:
    """str: The table in GitHub's markdown, figures on the right."""
    marks = ['--:' if frame[name].str.match(FIGURE).all() else '---' for name in frame]
    rows = [[cell.replace('|', '\\|') for cell in row]
            for row in (frame.columns, marks, *frame.itertuples(index=False))]
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write the table as csv, whole or not at all."""
    with atomic_file(path) as partial:
        frame.to_csv(partial, index=False, lineterminator='\n')

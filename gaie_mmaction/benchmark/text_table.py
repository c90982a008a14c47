"""One table of text for terminal, csv and markdown: the same cells in each."""
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from ..utils.files import atomic_file

UNBOUNDED = 10_000  # columns of a terminal


@dataclass(frozen=True)
class TextTable:
    """Cells and what stands above them.

    Attributes:
        title (str): A line.
        columns (tuple[str]): Names with units; the first one's cells name the rows.
        rows (list[tuple[str]]): Cells.
        words (tuple[str]): Columns that are no figures.
    """
    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    words: tuple[str, ...]

    def print(self, console: Console) -> None:
        """Print it, in several pieces one below the other if the terminal is too narrow."""
        console.print(f'\n{self.title}', highlight=False, markup=False)
        start = 1
        while start < len(self.columns):
            end = len(self.columns)
            while end > start + 1 and self._width(console, start, end) > console.width:
                end -= 1
            console.print(self._piece(start, end))
            start = end

    def _width(self, console: Console, start: int, end: int) -> int:
        options = console.options.update(max_width=UNBOUNDED)
        return Measurement.get(console, options, self._piece(start, end)).maximum

    def _piece(self, start: int, end: int) -> Table:
        table = Table()
        for column in (0, *range(start, end)):
            # short lines in the head, so that the figures decide the width
            table.add_column(self.columns[column].replace(' ', '\n'), no_wrap=True,
                             justify='left' if self.columns[column] in self.words else 'right')
        for row in self.rows:
            table.add_row(*(escape(row[column]) for column in (0, *range(start, end))))
        return table

    def markdown(self) -> str:
        """str: A markdown table under its title."""
        marks = ['---' if column in self.words else '--:' for column in self.columns]
        lines = [[cell.replace('|', '\\|') for cell in row]
                 for row in (self.columns, marks, *self.rows)]
        return '\n'.join([f'**{self.title}**', '', *(f'| {" | ".join(row)} |' for row in lines)])

    def write_csv(self, path: Path, constants: dict[str, str] | None = None,
                  details: Sequence[dict[str, str]] = ()) -> None:
        """Write the cells.

        Args:
            path (Path): The file.
            constants (dict[str, str]): Further columns, the same in each row. Defaults to None.
            details (Sequence[dict]): Further columns of each row. Defaults to ().
        """
        constants = constants or {}
        further = [*(details[0] if details else {}), *constants]
        with atomic_file(path) as partial, open(partial, 'w', encoding='utf-8', newline='') as file:
            writer = csv.writer(file)
            writer.writerow([*self.columns, *further])
            for number, row in enumerate(self.rows):
                extra = {**(details[number] if details else {}), **constants}
                writer.writerow([*row, *(extra[name] for name in further)])
